"""The benchmark of the figures measures what it says, on a small shop."""

from tests.support.benchmarks import measured


def test_a_few_days_are_filled_rolled_up_compared_and_read(tmp_path):
    options = ("--lists", "2000", "4000", "--days", "3", "--repeats", "2")
    figures = measured("kpis", *options, out=tmp_path / "kpis.json")
    assert set(figures) == {"2000", "4000"}
    for each in figures.values():
        assert each["rollup_equals_raw"] is True
        assert {"rollup_s", "today_ms_p50", "report_ms_p50"} <= set(each)
