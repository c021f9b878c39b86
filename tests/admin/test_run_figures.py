"""What a training run's page says of it."""

from dataclasses import fields

from django_sessrec.admin.formatting import NONE
from django_sessrec.admin.run_figures import counts, group_rows
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
    groups = {"1": {"cases": 9, "hr@20": 33.3}, "10+": {"cases": 0, "hr@20": 0.0}}
    run = TrainingRun(figures={"candidate": {"by_length": groups}, "baseline": {"by_length": groups}})
    assert [row.cells for row in group_rows(run, "by_length")] == [["33.30"] * 2, [NONE] * 2]
