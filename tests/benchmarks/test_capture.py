from tests.support.benchmarks import measured


def test_pages_rows_browsers_batches_and_a_growing_table_are_measured(tmp_path):
    options = ("--requests", "20", "--rows", "1000", "--rows-before", "9000")
    figures = measured("capture", *options, out=tmp_path / "capture.json")
    assert figures["rows_before"] >= 9_000
    assert 100 < figures["table_bytes_per_row"] < 1_000
    for page in ("tracked", "untracked", "async_tracked", "async_untracked", "streamed"):
        assert {f"{page}_us_p50", f"{page}_us_p99", f"{page}_bare_page_us_p50"} <= figures.keys()
    rates = {name for name in figures if name.startswith("rows_per_s_")}
    ways = ("single", "batches_of_100", "copy", "posted", "from_stream")
    assert rates == {f"rows_per_s_{way}" for way in ways}
    for cost in ("tracked_us_p50", "write_us_p50", "session_items_us_p50"):
        assert {f"empty_{cost}", f"grown_{cost}"} <= figures.keys()
