from tests.support.benchmarks import measured


def test_a_fit_beside_a_loaded_shop_is_measured_against_both_alone(tmp_path):
    size = ("--items", "500", "--sessions", "2000", "--seconds", "1", "--rounds", "1")
    options = (*size, "--requests", "200", "--load", "0.1", "--niceness", "0")
    figures = measured("neighbourly", *options, out=tmp_path / "neighbourly.json")
    ratios = {"fit_share", "page_p90_ratio", "page_p50_ratio"}
    assert ratios | {f"{name}_as_before" for name in ratios} <= figures.keys()
    fair = figures["idle_share"]  # none where other work left no core idle
    assert (figures["fit_share"] is None) == (fair == 0)
    assert all(figures[name] > 0 for name in ratios if fair or not name.startswith("fit_share"))
    assert 0 < figures["rate"] < figures["capacity"]
    assert figures["beside"]["targets_per_s"] > 0
