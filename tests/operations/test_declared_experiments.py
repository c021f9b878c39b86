"""Experiments that the settings declare: their rows, and from when on their sessions count."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from django.utils.translation import gettext_lazy, override

from django_sessrec.experiment_models import DailyArm, Experiment
from django_sessrec.measuring.days import today
from django_sessrec.measuring.rollups import roll_up, roll_up_due
from django_sessrec.measuring.verdicts import Verdict
from django_sessrec.models import AuditEntry, Promotion
from django_sessrec.operations.declared_experiments import stands_in_place_of
from django_sessrec.operations.experiments import judgement, keep, start, stop, take_in_declared, tend
from tests.support.admin import a_run
from tests.support.experiments import an_experiment, takes_part

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def shop(fresh_process, placement):
    placement()


def serve(*models, since=timedelta(0)):
    for model in models:
        Promotion.objects.create(model=model, run=a_run(model=model), promoted_by="test")
    Promotion.objects.filter(model__in=models).update(promoted_at=NOW - since)


def declared(placement, **variants):
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": variants})


def test_what_the_settings_declare_is_counted_since_its_first_list_of_models_that_serve(placement):
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 3, "TITLE": "New"})
    assert take_in_declared() == ["declared"]
    experiment = Experiment.objects.get()
    assert (experiment.state, experiment.declared, experiment.placement) == ("waiting", True, "product_page")
    serve("neighbours", since=timedelta(days=9))
    tend()
    assert Experiment.objects.get().state == "waiting"
    serve("itemknn", since=timedelta(days=3))
    for days in (4, 2, 1):
        takes_part(NOW - timedelta(days=days), "a", experiment="declared", model="itemknn")
    tend()
    experiment.refresh_from_db()
    assert abs(experiment.counted_from - (NOW - timedelta(days=2))) < timedelta(seconds=1)
    assert [(each.name, each.share, each.model) for each in experiment.variants.all()] == [
        ("a", 1, "itemknn"),
        ("b", 3, "neighbours"),
    ]
    assert take_in_declared() == []


def test_days_before_a_declared_experiment_had_its_row_are_summed_anew(placement):
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 1})
    serve("itemknn", "neighbours", since=timedelta(days=3))
    takes_part(NOW - timedelta(days=2), "a", experiment="declared", model="itemknn")
    roll_up_due()
    tend()
    assert judgement(Experiment.objects.get()).arms["a"].sessions == 1


def test_what_the_settings_drop_is_stopped_and_comes_back_with_them(placement):
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 1}}
    serve("neighbours")
    declared(placement, **variants)
    tend()
    placement()
    tend()
    assert Experiment.objects.get().state == "stopped"
    declared(placement, **variants)
    tend()
    assert Experiment.objects.get().state == "running"


def test_a_variant_that_the_settings_drop_is_dropped(placement):
    declared(placement, a={"SHARE": 1}, b={"SHARE": 1}, c={"SHARE": 1})
    tend()
    declared(placement, a={"SHARE": 1}, b={"SHARE": 1})
    tend()
    assert [each.name for each in Experiment.objects.get().variants.all()] == ["a", "b"]


def test_a_name_taken_by_staff_is_left_to_them(placement):
    an_experiment("declared")
    declared(placement, a={"SHARE": 1}, b={"SHARE": 1})
    assert take_in_declared() == []
    assert not Experiment.objects.get().declared


def test_one_that_is_new_in_an_old_shop_is_counted_from_now(placement):
    serve("itemknn", "neighbours", since=timedelta(days=300))
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 1})
    tend()
    assert Experiment.objects.get().counted_from > NOW


@pytest.mark.parametrize(
    "other",
    [{"a": {"SHARE": 1}, "b": {"SHARE": 1}}, {"a": {"SHARE": 9}, "b": {"SHARE": 1, "LIMIT": 4}}],
    ids=["split", "changes"],
)
def test_one_that_is_declared_otherwise_is_counted_anew(placement, other):
    serve("neighbours", since=timedelta(days=30))
    declared(placement, a={"SHARE": 9}, b={"SHARE": 1})
    for number in range(100):
        variant = "b" if number % 10 == 0 else "a"
        takes_part(NOW - timedelta(days=2), variant, experiment="declared", model="neighbours")
    tend()
    roll_up_due()
    assert judgement(Experiment.objects.get()).sessions == 100
    declared(placement, **other)
    take_in_declared()
    experiment = Experiment.objects.get()
    assert (experiment.is_counted, judgement(experiment).verdict) == (False, Verdict.WAITING)
    assert not DailyArm.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.done_by, entry.detail["change"]) == ("settings", "counted anew")
    for variant in "ab":
        takes_part(timezone.now(), variant, experiment="declared", model="neighbours")
    tend()
    roll_up_due()
    experiment.refresh_from_db()
    assert (experiment.state, judgement(experiment).sessions) == ("running", 2)


def declared_on(settings, *placements):
    experiment = {"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}}
    settings.SESSREC = settings.SESSREC | {
        "PLACEMENTS": {name: {"MODELS": ["neighbours"], "EXPERIMENT": experiment} for name in placements}
    }


def test_one_that_moves_to_another_placement_is_counted_anew_there(settings):
    serve("neighbours", since=timedelta(days=30))
    declared_on(settings, "home")
    takes_part(NOW - timedelta(days=2), "a", experiment="declared", model="neighbours")
    tend()
    assert judgement(Experiment.objects.get()).sessions == 1
    declared_on(settings, "start")
    tend()
    experiment = Experiment.objects.get()
    assert (experiment.placement, experiment.state, judgement(experiment).sessions) == ("start", "running", 0)
    assert AuditEntry.objects.get().detail["change"] == "counted anew"


def test_one_that_another_placement_declares_as_well_goes_on(settings):
    serve("neighbours")
    declared_on(settings, "home")
    tend()
    declared_on(settings, "basket", "home")
    tend()
    assert Experiment.objects.get().placement == "home"
    assert not AuditEntry.objects.exists()


def a_counted_one(placement):
    """A declared experiment with a session, and one of the admin in its place for which it is paused."""
    serve("neighbours", since=timedelta(days=30))
    declared(placement, a={"SHARE": 1}, b={"SHARE": 1, "TITLE": "New"})
    takes_part(NOW - timedelta(days=2), "a", experiment="declared", model="neighbours")
    tend()
    roll_up_due()
    other = an_experiment("Other?", variants={"as it is": {}, "four": {"LIMIT": 4}})
    start(other)
    return Experiment.objects.get(name="declared"), other


def test_one_is_paused_while_one_of_the_admin_runs_on_its_placement(placement):
    one, other = a_counted_one(placement)
    assert stands_in_place_of(one) == other
    stop(other, "enough")
    assert stands_in_place_of(one) is None


def test_one_of_two_placements_goes_on_where_no_other_runs(settings):
    serve("neighbours")
    declared_on(settings, "home", "basket")
    tend()
    start(an_experiment("Other?", placement="home", variants={"as it is": {}, "four": {"LIMIT": 4}}))
    one = Experiment.objects.get(name="declared")
    assert stands_in_place_of(one) is None
    start(an_experiment("Third?", placement="basket", variants={"as it is": {}, "four": {"LIMIT": 4}}))
    assert stands_in_place_of(one) is not None


def test_what_changes_the_placement_under_one_has_it_counted_anew(placement):
    one, other = a_counted_one(placement)
    stop(other, "better", "four", "ada")
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("waiting", 0)
    entry = AuditEntry.objects.get()
    assert (entry.done_by, entry.detail) == ("ada", {"experiment": "declared", "change": "counted anew"})
    assert "everybody" in entry.reason
    tend()
    takes_part(timezone.now(), "b", experiment="declared", model="neighbours")
    roll_up(today())
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("running", 1)
    keep(other, "", "ada")
    one.refresh_from_db()
    assert judgement(one).sessions == 0


@pytest.mark.parametrize("variant", ["", "as it is"])
def test_a_stop_that_leaves_the_placement_as_it_was_lets_its_figures_go_on(placement, variant):
    one, other = a_counted_one(placement)
    stop(other, "no better", variant, "ada")
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("running", 1)
    assert not AuditEntry.objects.exists()


def test_what_everybody_gets_since_it_was_in_the_settings_has_it_counted_anew(placement):
    serve("itemknn")
    one, other = a_counted_one(placement)
    stop(other, "no better")
    placement()
    tend()
    another = an_experiment("Another model?", variants={"old": {}, "new": {"MODELS": ["itemknn"]}})
    start(another)
    stop(another, "it won", "new", "mia")
    declared(placement, a={"SHARE": 1}, b={"SHARE": 1, "TITLE": "New"})
    tend()
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("running", 0)
    assert [each.model for each in one.variants.all()] == ["itemknn", "itemknn"]
    assert "everybody" in AuditEntry.objects.get(detail__change="counted anew").reason


@pytest.mark.parametrize("keys", [{"MODELS": ["itemknn"]}, {"HIDE_VIEWED": False}])
def test_a_placement_that_the_settings_change_under_one_has_it_counted_anew(placement, keys):
    serve("itemknn")
    one, other = a_counted_one(placement)
    stop(other, "no better")
    experiment = {"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1, "TITLE": "New"}}}
    placement(EXPERIMENT=experiment, **keys)
    tend()
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("running", 0)
    assert {each.model for each in one.variants.all()} == {keys.get("MODELS", ["neighbours"])[0]}
    entry = AuditEntry.objects.get()
    assert (entry.done_by, entry.detail["change"]) == ("settings", "counted anew")
    takes_part(timezone.now(), "b", experiment="declared", model="neighbours")
    tend()
    roll_up(today())
    assert judgement(Experiment.objects.get(pk=one.pk)).sessions == 1


def test_a_key_that_every_variant_sets_may_change_in_the_placement(placement):
    serve("neighbours", since=timedelta(days=30))
    experiment = {"NAME": "declared", "VARIANTS": {each: {"SHARE": 1, "LIMIT": 4} for each in "ab"}}
    placement(EXPERIMENT=experiment)
    takes_part(NOW - timedelta(days=2), "a", experiment="declared", model="neighbours")
    tend()
    placement(EXPERIMENT=experiment, LIMIT=6)
    tend()
    assert judgement(Experiment.objects.get()).sessions == 1
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("settled", [None, {"product_page": {"LIMIT": 8}}])
def test_one_of_a_version_before_goes_on_and_is_compared_from_now_on(placement, settled):
    one, other = a_counted_one(placement)
    stop(other, "no better")
    Experiment.objects.update(settled=settled)
    tend()
    one.refresh_from_db()
    assert (one.state, judgement(one).sessions) == ("running", 1)
    experiment = {"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1, "TITLE": "New"}}}
    placement(EXPERIMENT=experiment, HIDE_VIEWED=False)
    tend()
    assert judgement(Experiment.objects.get(pk=one.pk)).sessions == 0


@pytest.mark.django_db(transaction=True)
def test_one_that_an_upgrade_finds_waiting_after_it_was_counted_anew_forgets_its_plan(placement):
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 1})
    serve("neighbours", since=timedelta(days=9))
    take_in_declared()
    Experiment.objects.update(tuned_for=1_000, counted_from=NOW - timedelta(days=3))
    try:
        call_command("migrate", "sessrec", "0015", verbosity=0)
    finally:
        call_command("migrate", "sessrec", verbosity=0)
    for _session in range(4):
        takes_part(NOW - timedelta(days=2), "a", experiment="declared", model="neighbours")
    serve("itemknn", since=timedelta(days=1))
    tend()
    roll_up_due()
    one = Experiment.objects.get()
    assert (one.state, judgement(one).sessions) == ("running", 0)


class Rule:
    """A rule that is handed over as an object."""


def test_a_lazy_title_and_a_rule_are_the_same_in_every_language_and_process(placement):
    serve("neighbours")
    for language in ("en", "de"):
        declared(placement, a={"SHARE": 1}, b={"SHARE": 1, "TITLE": gettext_lazy("Save"), "RULES": [Rule()]})
        with override(language):
            take_in_declared()
            tend()
    experiment = Experiment.objects.get()
    assert experiment.state == "running"
    assert not AuditEntry.objects.exists()
    rules = [f"{__name__}.Rule"]
    assert experiment.variants.get(name="b").changes == {"TITLE": "Save", "RULES": rules}


def test_cap_and_plan_stay_where_the_settings_declare_an_experiment_again(placement):
    variants = {"a": {"SHARE": 1, "MODELS": ["itemknn"]}, "b": {"SHARE": 1}}
    declared(placement, **variants)
    serve("itemknn", "neighbours", since=timedelta(days=3))
    takes_part(NOW - timedelta(days=2), "a", experiment="declared", spends=1_000)
    tend()
    before = Experiment.objects.get()
    assert (before.state, before.cap) == ("running", None)
    for n in range(60):
        takes_part(NOW - timedelta(days=1, minutes=n), "a", experiment="declared", spends=5)
    placement()  # a deployment without it, and the next one with it again
    tend()
    declared(placement, **variants)
    tend()
    after = Experiment.objects.get()
    assert (after.state, after.counted_from) == ("running", before.counted_from)
    assert (after.cap, after.tuned_for) == (before.cap, before.tuned_for)
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 3})
    tend()
    assert Experiment.objects.get().cap is not None, "split otherwise, it is counted and planned anew"
