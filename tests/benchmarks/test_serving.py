from tests.support.benchmarks import measured


def test_the_calls_of_pages_and_of_the_steps_of_a_list_are_counted(tmp_path):
    options = ("--items", "300", "--sessions", "2000", "--requests", "5", "--intents")
    figures = measured("serving.calls", *options, out=tmp_path / "calls.json")
    pages = figures["pages"]
    assert pages["bare_session"]["statements"] == pages["plain_session"]["statements"] - 1  # the view's row
    for kind, statements in {"contextual": 1, "session": 2}.items():  # the products; and the session's events
        assert figures["added"][f"tagged_{kind}"]["statements"] == statements
        assert figures["added"][f"tagged_{kind}"]["calls"] > 0
    assert figures["stages"].keys() == {"visit_of", "placement_for", "choose", "remember", "render"}
