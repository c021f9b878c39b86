"""What a training run's page says of it."""

from dataclasses import fields

from django.utils import translation

from django_sessrec.admin.formatting import NONE
from django_sessrec.admin.run_figures import counts, group_rows, learning_curves
from django_sessrec.models import TrainingRun
from django_sessrec.training.dataset import TrainingCounts


def test_staff_see_each_count_of_a_run_under_a_label_of_its_own():
    counted = {field.name: 1_000 + number for number, field in enumerate(fields(TrainingCounts))} | {
        "cases": 2_000
    }
    shown = counts(TrainingRun(counts=counted))
    assert [number for _, number in shown] == [f"{number:,}" for number in counted.values()]
    labels = [label for label, _ in shown]
    assert all(labels)
    assert len(set(labels)) == len(counted)


def test_a_group_in_which_nothing_was_predicted_has_no_figure():
    groups = {"1": {"cases": 2_126, "hr@20": 33.3}, "10+": {"cases": 0, "hr@20": 0.0}}
    run = TrainingRun(figures={"candidate": {"by_length": groups}, "baseline": {"by_length": groups}})
    rows = group_rows(run, "by_length")
    assert [(row.cells, row.cases) for row in rows] == [(["33.30"] * 2, "2,126"), ([NONE] * 2, "0")]


def test_learning_curves_are_written_as_the_language_writes_numbers():
    history = [{"progress": 0.25, "loss": 7.12345}, {"progress": 1.0, "loss": 0.5}]
    with translation.override("de"):
        [curve] = learning_curves(TrainingRun(history=history))
    assert curve.table.rows == [("100,0\N{NO-BREAK SPACE}%", ["0,5"]), ("25,0\N{NO-BREAK SPACE}%", ["7,123"])]
    assert [dot.label.partition(": ")[2] for dot in curve.lines[0].dots] == ["7,123", "0,5"]
