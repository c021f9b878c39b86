"""Experiments of the admin as pages meet them: assignment, ramp, holdout, interleaving, what was kept."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sessrec.experiment_models import EMPTY, HOLDOUT, INTERLEAVED, Experiment
from django_sessrec.models import Impression, RuleSet
from django_sessrec.serving import experiments, merchant_rules
from django_sessrec.serving.choose import choose
from django_sessrec.serving.interleaving import teams
from django_sessrec.serving.placements import placement_for, variants_of
from django_sessrec.serving.recommendations import remember
from django_sessrec.serving.visit import Visit
from tests.demo.models import Product
from tests.support.experiments import an_experiment

pytestmark = pytest.mark.django_db

SESSIONS = [UUID(int=number << 64) for number in range(1_000)]


@pytest.fixture
def begun(fresh_process, placement):
    """Store a running experiment of the placement product_page, for all to see at once."""
    placement()

    def begin(**columns):
        experiment = an_experiment(state="running", **columns)
        experiments.forget()
        return experiment

    return begin


def placement_of(session_id):
    return placement_for("product_page", Visit(session_id=session_id))


def shares():
    return Counter(placement_of(session_id).variant for session_id in SESSIONS)


def test_a_running_experiment_splits_the_sessions(begun):
    begun()
    found = shares()
    assert found["old"] + found["new"] == 1_000
    assert found["old"] == pytest.approx(500, abs=60)
    new = next(each for each in map(placement_of, SESSIONS) if each.variant == "new")
    assert (new.experiment, new.models, new.holdout) == ("Does it pay?", ("neighbours",), False)
    assert [(each.placement.variant, each.share) for each in variants_of("product_page")] == [
        ("old", 0.5),
        ("new", 0.5),
    ]


@pytest.mark.parametrize("state", ["draft", "waiting", "stopped"])
def test_in_any_other_state_nobody_takes_part(begun, state):
    experiment = begun()
    Experiment.objects.filter(pk=experiment.pk).update(state=state)
    experiments.forget()
    assert placement_of(SESSIONS[0]) == placement_for("product_page")
    assert variants_of("product_page") == []


def test_a_ramp_adds_sessions_and_moves_none(begun):
    experiment = begun(part=0.1)
    before = {session_id: placement_of(session_id).variant for session_id in SESSIONS}
    assert 60 < sum(map(bool, before.values())) < 140
    Experiment.objects.filter(pk=experiment.pk).update(part=1)
    experiments.forget()
    for session_id, variant in before.items():
        after = placement_of(session_id).variant
        assert after == variant if variant else after in {"old", "new"}


def test_a_pilot_in_the_shadow_changes_no_list(begun):
    begun(part=0, kind="pilot")
    assert shares() == {"": 1_000}


def test_rows_stand_in_place_of_the_settings(begun, placement):
    variants = {"a": {"SHARE": 1}, "b": {"SHARE": 1}}
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": variants})
    assert set(shares()) == {"a", "b"}
    begun()
    assert set(shares()) == {"old", "new"}


def test_what_the_settings_declare_is_read_from_them(begun, placement):
    begun(declared=True)
    assert placement_of(SESSIONS[0]).variant == "", "the row is there for its page only"


def test_a_variant_removed_while_it_runs_ends_the_split(begun):
    experiment = begun(variants={"a": {}, "b": {"LIMIT": 2}, "c": {"LIMIT": 3}})
    experiment.variants.get(name="c").delete()
    experiments.forget()
    assert set(shares()) == {"a", "b"}
    experiment.variants.get(name="b").delete()
    experiments.forget()
    assert placement_of(SESSIONS[0]) == placement_for("product_page")


def test_a_row_that_is_read_costs_no_page_a_query(begun):
    begun()
    placement_of(SESSIONS[0])
    with CaptureQueriesContext(connection) as captured:
        placement_of(SESSIONS[1])
    assert not [query for query in captured if "sessrec_" in query["sql"]]


def test_a_database_without_the_tables_leaves_the_usual_list(begun, monkeypatch, caplog):
    def missing(*_args, **_keys):
        raise RuntimeError("no such table")

    begun()
    monkeypatch.setattr(experiments, "_of", missing)
    experiments.forget()
    assert placement_of(SESSIONS[0]) == placement_for("product_page")
    assert "could not look up the running experiments" in caplog.text


def test_a_kept_variant_is_everybodys(begun):
    begun(variants={"old": {}, "new": {"LIMIT": 3}}, name="first")
    Experiment.objects.update(state="stopped", kept="new")
    experiments.forget()
    assert placement_of(SESSIONS[0]).limit == placement_for("product_page").limit == 3
    assert placement_of(SESSIONS[0]).experiment == ""


def test_the_next_experiment_builds_on_what_was_kept(begun):
    begun(variants={"old": {}, "new": {"LIMIT": 3}}, name="first")
    Experiment.objects.update(state="stopped", kept="new")
    begun(variants={"as it is": {}, "shorter": {"LIMIT": 2}}, name="second")
    assert {placement_of(each).limit for each in SESSIONS[:50]} == {3, 2}


def test_what_is_kept_of_the_next_one_builds_on_it_too(begun):
    begun(variants={"old": {}, "new": {"LIMIT": 3}}, name="first")
    begun(variants={"as it is": {}, "more": {"HIDE_VIEWED": False}}, name="second", placement="other")
    Experiment.objects.filter(name="second").update(placement="product_page", state="stopped", kept="more")
    Experiment.objects.filter(name="first").update(state="stopped", kept="new")
    experiments.forget()
    settled = placement_for("product_page")
    assert (settled.limit, settled.hide_viewed) == (3, False)


def test_of_what_was_kept_the_last_to_end_wins(begun):
    now = timezone.now()
    for name, limit, ended in [("waited long", 3, now), ("ran first", 2, now - timedelta(days=5))]:
        begun(variants={"old": {}, "new": {"LIMIT": limit}}, name=name)
        Experiment.objects.filter(name=name).update(state="stopped", kept="new", stopped_at=ended)
    experiments.forget()
    assert placement_for("product_page").limit == 3


def test_a_holdout_has_no_list_and_is_counted(begun):
    begun(variants={"none": None, "new": {}})
    held = next(each for each in SESSIONS if placement_of(each).variant == "none")
    visit = Visit(current="1", session_id=held)
    settled = placement_for("product_page", visit)
    choice = choose(visit, settled)
    impression = remember(choice, visit, settled)
    assert choice.chosen == []
    assert (impression.item_ids, impression.step, impression.variant) == ([], HOLDOUT, "none")


def test_a_variants_list_that_stayed_empty_is_counted_beside_the_holdouts(begun, placement):
    placement(STEPS=["recently_viewed"])
    begun(variants={"again": {}, "none": None})
    counted = Counter()
    for session_id in SESSIONS:
        visit = Visit(current="1", session_id=session_id)
        settled = placement_for("product_page", visit)
        impression = remember(choose(visit, settled), visit, settled)
        counted[impression.variant, impression.step, *impression.item_ids] += 1
    assert set(counted) == {("again", EMPTY), ("none", HOLDOUT)}


def test_a_holdouts_page_renders_and_stores_its_empty_list(begun, visitor, products, trails, promote):
    promote(trails)
    begun(variants={"none": None, "also none": None})
    assert visitor.get(products[8].get_absolute_url()).status_code == 200
    assert [(each.step, each.item_ids) for each in Impression.objects.all()] == [(HOLDOUT, [])]


def of(category):
    return {"attribute": "category", "values": [category]}


@pytest.fixture
def interleaved(begun, products, trails, promote):
    promote(trails, "neighbours")
    promote(trails, "itemknn")
    return begun(kind="interleaving")


def lists_of(session_id, current):
    visit = Visit(current=current, session_id=session_id)
    settled = placement_for("product_page", visit)
    return choose(visit, settled).chosen, [choose(visit, each).chosen for each in settled.teams]


def test_each_place_of_an_interleaved_list_is_its_teams(interleaved, products):
    for session_id in SESSIONS[:20]:
        merged, (first, second) = lists_of(session_id, str(products[8].pk))
        assert placement_of(session_id).variant == INTERLEAVED
        assert len(merged) == 8
        models = [{each.item_id: each.model for each in found} for found in (first, second)]
        for item, team in zip(merged, teams(interleaved.name, session_id, 8), strict=True):
            assert item.item_id in models[team]
            assert item.model == models[team][item.item_id]


LIMITS = {
    "the placement's limit": ({"MAX_PER_CATEGORY": 3}, (), 3),
    "a merchant's cap": ({}, [("cap", {"attribute": "category", "most": 3})], 3),
    "a cap on any four in a row": ({}, [("cap", {"attribute": "category", "most": 2, "window": 4})], 2),
    "never a cup beside a tea": ({}, [("beside", of("cup") | {"other": of("tea")})], 8),
}


@pytest.mark.parametrize("named", LIMITS)
def test_an_interleaved_list_keeps_the_limits_of_both(interleaved, products, placement, named):
    settings, rules, most = LIMITS[named]
    placement(**settings)
    live = RuleSet.objects.create(placement="product_page", published_at=timezone.now())
    for kind, parameters in rules:
        live.rules.create(kind=kind, parameters=parameters)
    merchant_rules.forget()
    for session_id in SESSIONS[:20]:
        merged, _teams = lists_of(session_id, str(products[28].pk))
        found = [each.item.category for each in merged]
        window = 4 if "row" in named else len(found)
        for start in range(len(found) - window + 1):
            assert max(Counter(found[start : start + window]).values()) <= most, found
        assert "beside" not in named or not {"cup", "tea"} <= {*found}
        assert len(merged) >= 6


def test_an_interleaved_list_has_one_of_a_family(interleaved, products, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.serving.test_families.FamilyCatalogue"}
    Product.objects.filter(pk__in=[each.pk for each in products[:12]]).update(family="round")
    for session_id in SESSIONS[:20]:
        merged, _teams = lists_of(session_id, str(products[28].pk))
        assert [each.item.family for each in merged].count("round") <= 1


def test_what_is_pinned_belongs_to_no_team_and_keeps_its_place(interleaved, products, placement):
    pinned = str(products[20].pk)
    placement(PINNED=[pinned])
    merged, (first, second) = lists_of(SESSIONS[0], str(products[8].pk))
    assert [each.item_id for each in merged].index(pinned) == 0
    assert len({each.item_id for each in merged}) == 8
    drafted = merged[1:]
    for item, team in zip(drafted, teams(interleaved.name, SESSIONS[0], 8), strict=False):
        assert item.item_id in [each.item_id for each in (first, second)[team]]
