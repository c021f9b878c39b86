"""The life of an experiment, from draft to stop, with real models, sessions and settings."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connections
from django.utils import timezone

from django_sessrec import tasks
from django_sessrec.experiment_models import Experiment
from django_sessrec.ids import uuid7
from django_sessrec.measuring.rollups import roll_up_due
from django_sessrec.measuring.verdicts import Verdict
from django_sessrec.models import AuditEntry, Promotion
from django_sessrec.operations.experiments import (
    ExperimentError,
    Plan,
    _begin_if_ready,
    discard,
    judgement,
    keep,
    plan,
    ramp,
    start,
    stop,
    take_in_declared,
    tend,
    waits_for,
)
from tests.support.admin import a_run
from tests.support.experiments import a_running_one, an_experiment, takes_part
from tests.support.history import buy, show

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def shop(fresh_process, placement):
    placement()


def serve(*models):
    for model in models:
        Promotion.objects.create(model=model, run=a_run(model=model), promoted_by="test")


def test_it_waits_until_every_variants_first_model_serves():
    serve("itemknn")
    experiment = an_experiment()
    start(experiment)
    assert (experiment.state, experiment.counted_from) == ("waiting", None)
    assert waits_for(experiment) == ["neighbours"]
    assert judgement(experiment).verdict == Verdict.WAITING
    assert tend()["begun"] == []
    serve("neighbours")
    assert tasks.tend_experiments()["begun"] == ["Does it pay?"]
    experiment.refresh_from_db()
    assert experiment.state == "running"
    assert experiment.counted_from is not None
    assert [each.model for each in experiment.variants.all()] == ["itemknn", "neighbours"]


def test_a_variant_that_never_serves_never_wins():
    serve("itemknn")
    experiment = an_experiment()
    start(experiment)
    for _session in range(60):
        takes_part(NOW - timedelta(minutes=9), "new", spends=1_000)
        takes_part(NOW - timedelta(minutes=9), "old")
    tend()
    assert judgement(Experiment.objects.get()).verdict == Verdict.WAITING


def test_it_runs_at_once_where_all_serve():
    serve("itemknn", "neighbours")
    experiment = an_experiment(variants={"usual": {}, "none": None, "new": {"MODELS": ["itemknn"]}})
    start(experiment)
    assert experiment.state == "running"
    assert [each.model for each in experiment.variants.all()] == ["neighbours", "", "itemknn"]


def test_one_experiment_a_placement():
    serve("itemknn", "neighbours")
    start(an_experiment())
    with pytest.raises(ExperimentError, match="Does it pay"):
        start(an_experiment("Another?"))


@pytest.mark.parametrize("state", ["waiting", "running", "stopped"])
def test_only_a_draft_is_started(state):
    with pytest.raises(ExperimentError):
        start(an_experiment(state=state))


def test_it_waits_where_the_settings_lost_its_placement():
    serve("itemknn", "neighbours")
    experiment = an_experiment(placement="gone", state="waiting", variants={"old": {}, "new": {}})
    assert waits_for(experiment) == []
    assert tend()["begun"] == []
    assert plan(experiment).days is None


def test_only_an_open_one_is_ramped_or_stopped():
    for act in (lambda each: ramp(each, 0.5), lambda each: stop(each, "why")):
        with pytest.raises(ExperimentError):
            act(an_experiment(f"{act}"))


def test_a_stop_keeps_its_reason_and_may_keep_a_variant():
    experiment = a_running_one(NOW)
    stop(experiment, "found a winner", keep="new")
    experiment.refresh_from_db()
    assert (experiment.state, experiment.stop_reason, experiment.kept) == ("stopped", "found a winner", "new")
    assert experiment.stopped_at is not None
    keep(experiment, "")
    assert Experiment.objects.get().kept == ""


def test_what_the_settings_declare_is_stopped_there_only():
    with pytest.raises(ExperimentError, match="settings"):
        stop(a_running_one(NOW, declared=True), "why")


def test_the_cap_and_the_currency_come_from_the_orders_before():
    serve("itemknn", "neighbours")
    at = NOW - timedelta(days=3)
    for number in range(100):
        session = takes_part(at, "old", experiment="")
        buy(session, at + timedelta(minutes=3), "1", number + 1, currency="SEK")
    experiment = an_experiment()
    start(experiment)
    assert experiment.currency == "SEK"
    assert float(experiment.cap) == pytest.approx(99.01)


def test_a_plan_is_made_in_days_of_the_placements_traffic():
    for day in range(1, 6):
        for number in range(20):
            takes_part(
                NOW - timedelta(days=day),
                "",
                experiment="",
                placement="product_page",
                spends=10 if number % 2 else None,
            )
    roll_up_due()
    experiment = an_experiment(effect=0.2, part=0.5)
    planned = plan(experiment)
    assert planned.a_day == pytest.approx(100 / 7 / 2)
    assert planned.days == pytest.approx(planned.sessions / planned.a_day, abs=1)
    start(experiment)
    serve("itemknn", "neighbours")
    tend()
    assert Experiment.objects.get().tuned_for == planned.sessions


def test_nothing_is_planned_without_traffic():
    planned = plan(an_experiment())
    assert planned == Plan(None, 0)
    assert planned.days is None


def test_a_holdout_of_all_sessions_is_compared_with_nothing():
    serve("neighbours")
    experiment = an_experiment(variants={"usual": {}, "none": None})
    experiment.variants.filter(name="usual").update(share=0)
    start(experiment)
    assert experiment.state == "running"
    at = timezone.now()
    for _session in range(30):
        columns = {"experiment": experiment.name, "variant": "none", "model": "", "step": "holdout"}
        session = uuid7(at)
        show(session, at, [], placement="product_page", **columns)
        buy(session, at, "1", 10)
    roll_up_due()
    judged = judgement(experiment)
    assert (judged.verdict, judged.decides[1], judged.needed) == (Verdict.EARLY, None, None)
    assert (judged.arms["none"].sessions, judged.arms["none"].sum("ordered")) == (30, 30)
    assert (judged.split, judged.failed) == (1, [])
    assert plan(experiment).days is None
    assert tend()["stopped"] == []


def declared(placement, **variants):
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": variants})


def test_what_the_settings_declare_is_counted_since_its_last_model_first_served(placement):
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 3, "TITLE": "New"})
    assert take_in_declared() == ["declared"]
    experiment = Experiment.objects.get()
    assert (experiment.state, experiment.declared, experiment.placement) == ("waiting", True, "product_page")
    serve("neighbours")
    tend()
    assert Experiment.objects.get().state == "waiting"
    serve("itemknn", "itemknn")
    tend()
    experiment.refresh_from_db()
    first = Promotion.objects.filter(model="itemknn").order_by("pk").first()
    assert experiment.counted_from == first.promoted_at
    assert [(each.name, each.share, each.model) for each in experiment.variants.all()] == [
        ("a", 1, "itemknn"),
        ("b", 3, "neighbours"),
    ]
    assert take_in_declared() == []


def test_days_before_a_declared_experiment_had_its_row_are_summed_anew(placement):
    declared(placement, a={"SHARE": 1, "MODELS": ["itemknn"]}, b={"SHARE": 1})
    serve("itemknn", "neighbours")
    Promotion.objects.update(promoted_at=NOW - timedelta(days=3))
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


def much_worse():
    """300 sessions of either arm, of which only the control's click."""
    at = timezone.now() - timedelta(hours=3)
    for _session in range(300):
        takes_part(at, "old", clicks=_session % 2)
        takes_part(at, "new")


def test_a_variant_that_is_surely_worse_stops_it():
    experiment = a_running_one(NOW - timedelta(days=1), goal="clicks", tuned_for=600)
    much_worse()
    roll_up_due()
    assert judgement(experiment).verdict == Verdict.WORSE
    assert tend()["stopped"] == ["Does it pay?"]
    experiment.refresh_from_db()
    assert experiment.state == "stopped"
    entry = AuditEntry.objects.get(action="experiment")
    assert (entry.done_by, entry.reason) == ("schedule", experiment.stop_reason)


def test_one_that_may_not_stop_itself_goes_on():
    a_running_one(NOW - timedelta(days=1), goal="clicks", tuned_for=600, stops_itself=False)
    much_worse()
    assert tend()["stopped"] == []


def test_a_guard_rail_that_fails_stops_it():
    experiment = a_running_one(NOW - timedelta(days=1), tuned_for=200)
    at = timezone.now() - timedelta(hours=3)
    for number in range(100):
        takes_part(at, "old")
        session = takes_part(at, "new", model="neighbours")
        if number % 3:
            columns = {"experiment": experiment.name, "variant": "new", "wanted": 2}
            show(session, at, ["1"], model="neighbours", **columns)
    roll_up_due()
    assert judgement(experiment).failed == [("new", "full")]
    assert tend()["stopped"] == ["Does it pay?"]
    assert "full lists" in Experiment.objects.get().stop_reason


def test_an_act_on_what_somebody_else_ended_or_discarded_meanwhile_undoes_nothing():
    seen = a_running_one(NOW)
    stop(Experiment.objects.get(pk=seen.pk), "enough", "new")
    for late in (lambda: ramp(seen, 0.5), lambda: stop(seen, "too")):
        with pytest.raises(ExperimentError, match="Only an open experiment"):
            late()
    seen.refresh_from_db()
    assert (seen.state, seen.stop_reason, seen.kept, seen.part) == ("stopped", "enough", "new", 1.0)
    draft = an_experiment("A draft?")
    discard(Experiment.objects.get(pk=draft.pk))
    with pytest.raises(ExperimentError, match="discarded already"):
        start(draft)


def test_the_schedule_begins_nothing_that_was_stopped_while_it_waited():
    waiting = an_experiment(state="waiting")
    serve("itemknn", "neighbours")
    stop(Experiment.objects.get(pk=waiting.pk), "changed our mind")
    assert not _begin_if_ready(waiting)
    waiting.refresh_from_db()
    assert waiting.state == "stopped"


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_act_at_once_one_is_told_that_it_is_done():
    running, drafts = a_running_one(NOW), [an_experiment(f"Draft {n}?") for n in range(2)]
    both = Barrier(2)

    def act(do):
        both.wait(30)
        try:
            return do()
        except ExperimentError as error:
            return str(error)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as people:
        rows = [Experiment.objects.get(pk=running.pk) for _person in range(2)]
        stops = [(lambda row=row, n=n: stop(row, f"reason {n}")) for n, row in enumerate(rows)]
        said = list(people.map(act, stops))
        assert sorted(said, key=str) == sorted([None, "Only an open experiment can be stopped."], key=str)
        running.refresh_from_db()
        assert running.stop_reason == f"reason {said.index(None)}"
        said = list(people.map(act, [(lambda each=each: start(each)) for each in drafts]))
    assert said.count(None) == 1
    assert Experiment.objects.filter(state="waiting").count() == 1


def test_what_the_settings_decide_is_not_changed_here():
    with pytest.raises(ExperimentError, match="settings declare it"):
        ramp(a_running_one(NOW, declared=True), 0.5)
    with pytest.raises(ExperimentError, match="no longer have its placement"):
        start(an_experiment("Gone?", placement="gone"))
