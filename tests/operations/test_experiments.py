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
from django_sessrec.measuring.days import first_moment, today
from django_sessrec.measuring.rollups import roll_up, roll_up_due
from django_sessrec.measuring.verdicts import Verdict
from django_sessrec.models import AuditEntry, Promotion, Quarantine
from django_sessrec.operations.experiments import (
    RAMPED,
    ExperimentError,
    Plan,
    _begin_if_ready,
    discard,
    judgement,
    keep,
    note,
    plan,
    ramp,
    sessions_a_day,
    start,
    stop,
    tend,
    waits_for,
)
from tests.support.admin import a_run
from tests.support.experiments import a_running_one, an_experiment, takes_part
from tests.support.history import buy, order_line, show

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
    keep(experiment, "", "ada")
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


def test_an_order_that_is_told_twice_or_held_for_a_bots_does_not_raise_the_cap():
    at = NOW - timedelta(days=3)
    for number in range(100):
        session = uuid7(at)
        for minutes in (3, 9):  # its page, and the shop's webhook
            when = at + timedelta(minutes=minutes)
            order_line(session, "purchase", f"{number}", when, price=str(number + 1))
        bot = uuid7(at)
        buy(bot, at, "1", 9_000)
        Quarantine.objects.create(session_id=bot, reason="flood", clicks=99)
    experiment = an_experiment()
    start(experiment)
    serve("itemknn", "neighbours")
    tend()
    experiment.refresh_from_db()
    assert float(experiment.cap) == pytest.approx(99.01)


def test_one_that_began_before_any_purchase_takes_the_currency_of_the_first():
    serve("itemknn", "neighbours")
    experiment = an_experiment(goal="revenue")
    start(experiment)
    assert (experiment.state, experiment.currency) == ("running", "")
    at = timezone.now()
    for variant, spends in (("old", 10), ("new", 20)):
        takes_part(at, variant, spends=spends)
    roll_up_due()
    assert judgement(experiment).arms["new"].sum("revenue") == 0
    tend()
    experiment.refresh_from_db()
    assert (experiment.currency, experiment.cap) == ("EUR", None)
    assert [arm.sum("revenue") for arm in judgement(experiment).arms.values()] == [10, 20]


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


def orders(spent, **columns):
    """A week's sessions of the placement; every other one spends what `spent` says by its number."""
    for number in range(100):
        at = NOW - timedelta(days=1 + number % 5)
        session = takes_part(at, "", experiment="", placement="product_page")
        if number % 2:
            buy(session, at + timedelta(minutes=3), "1", spent(number), **columns)
    roll_up_due()


def test_a_draft_that_sales_decide_is_planned_in_the_currency_of_orders():
    orders(lambda number: 10 + number, currency="SEK")
    draft = an_experiment(goal="revenue", effect=0.3)
    planned = plan(draft)
    assert planned.sessions
    start(draft)
    serve("itemknn", "neighbours")
    tend()
    draft.refresh_from_db()
    assert (draft.currency, draft.tuned_for) == ("SEK", planned.sessions)


def test_a_pilot_in_the_shadow_is_planned_for_all_sessions():
    orders(lambda _number: 10)
    planned, usual = (
        plan(an_experiment(f"{part}?", effect=0.3, part=part, placement="product_page"))
        for part in (0.0, 1.0)
    )
    assert planned == usual
    assert (planned.days, planned.part) == (usual.days, 1.0)


def test_what_is_left_is_told_by_the_sessions_since_the_last_ramp():
    experiment = a_running_one(NOW - timedelta(days=20))
    for days in (12, 3):
        takes_part(NOW - timedelta(days=days), "old")
    roll_up_due()
    assert sessions_a_day(experiment) == pytest.approx(1 / 7, rel=0.2)
    ramp(experiment, 0.5)
    note(RAMPED, experiment, "ann", "looks good", part=0.5)
    AuditEntry.objects.update(happened_at=NOW - timedelta(days=2))
    for _session in range(40):
        takes_part(first_moment(today()) - timedelta(hours=12), "new")
    for days in (0, 1):
        roll_up(today() - timedelta(days=days))
    assert sessions_a_day(experiment) == pytest.approx(
        40 / ((timezone.now() - first_moment(today())) / timedelta(days=1) + 1), rel=0.01
    )


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=1)])
def test_just_after_a_ramp_what_takes_part_is_told_by_all_sessions(ago):
    experiment = a_running_one(NOW - timedelta(days=20))
    for day in range(1, 7):
        for _session in range(7):
            takes_part(NOW - timedelta(days=day), "new", placement="product_page")
    roll_up_due()
    ramp(experiment, 0.1)
    note(RAMPED, experiment, "ann", "too slow", part=0.1)
    AuditEntry.objects.update(happened_at=NOW - ago)
    assert sessions_a_day(experiment) == pytest.approx(6 * 0.1)


def test_the_next_experiments_control_is_what_the_last_one_left():
    serve("neighbours")
    first = a_running_one(NOW, variants={"usual": {}, "new": {"MODELS": ["itemknn"]}})
    stop(first, "better", keep="new")
    following = an_experiment("Shorter?", variants={"as it is": {}, "shorter": {"LIMIT": 4}})
    start(following)
    assert waits_for(following) == ["itemknn"]
    serve("itemknn")
    tend()
    assert [each.model for each in following.variants.all()] == ["itemknn", "itemknn"]


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
        both.wait(300)
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


def test_what_everybody_gets_stays_while_another_one_is_open_there(placement):
    placement()
    over = an_experiment("over", state="stopped", stopped_at=timezone.now(), kept="")
    running = a_running_one(timezone.now(), "open")
    with pytest.raises(ExperimentError, match="“open” is open on this placement"):
        keep(over, "new", "ada")
    running.state = "stopped"
    running.save()
    keep(over, "new", "ada")
    assert Experiment.objects.get(pk=over.pk).kept == "new"


def test_an_experiment_on_a_placement_that_asks_no_model_waits_for_none(placement):
    placement(STEPS=["trending", "static"])
    experiment = an_experiment(variants={"as it is": {}, "none": None})
    assert waits_for(experiment) == []
    start(experiment)
    assert Experiment.objects.get().state == "running"


@pytest.mark.parametrize(
    "keys", [{"STEPS": ["category", "popular"]}, {"STEPS": ["category", "static"], "VARIETY": 0.5}]
)
def test_variants_wait_for_models_by_which_their_lists_differ_without_a_models_step(placement, keys):
    placement(**keys)
    serve("itemknn")
    experiment = an_experiment()
    start(experiment)
    assert Experiment.objects.get().state == "waiting"
    assert waits_for(experiment) == ["neighbours"]
