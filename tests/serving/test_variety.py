"""Rules against more of the same: in one list, from page to page, and in what can be learnt from lists."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from django.utils import timezone

from django_sessrec.capture import store
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Impression
from django_sessrec.recommendations import Placement, Visit, choose
from django_sessrec.serving.candidate import Candidate
from django_sessrec.serving.recommendations import remember
from django_sessrec.serving.rules import RuleContext
from django_sessrec.serving.variety import explored, rotated

pytestmark = pytest.mark.django_db
SESSION = UUID("0198c0de-0000-7000-8000-000000000001")
OTHER_SESSION = UUID("0198c0de-0000-7000-8000-000000000002")


@pytest.fixture
def shop(products, promote) -> list[str]:
    """Ids of ten teas, ten cups and ten pots; visitors look at one kind, and now and then at another."""
    ids = [str(product.pk) for product in products]
    draw = np.random.default_rng(0)
    kinds = [ids[start : start + 10] for start in (0, 10, 20)]
    trails = [draw.choice(kind, 6, replace=False).tolist() for kind in kinds for _ in range(40)]
    trails += [[*draw.choice(kinds[0], 2, replace=False), str(draw.choice(kinds[1]))] for _ in range(40)]
    promote(trails, intents=True, content=True)
    return ids


def chosen(visit: Visit, **keys) -> list:
    return choose(visit, Placement("preview", ("neighbours",), intents="off", **keys)).items


def visit_of_session(shop, at=None, **keys) -> Visit:
    return Visit([shop[0]], shop[1], session_id=SESSION, at=at or timezone.now(), **keys)


def show(item_ids, placement="preview", session=SESSION, minutes=1) -> None:
    impression_id = uuid7(timezone.now() - timedelta(minutes=minutes))
    store.write(
        [
            Impression(
                impression_id=impression_id,
                shown_at=time_of(impression_id),
                session_id=session,
                placement=placement,
                step="model",
                item_ids=list(item_ids),
                reasons=["neighbours"] * len(item_ids),
            )
        ]
    )


def test_variety_brings_another_kind_up_and_says_so(shop):
    plain = [each.item.category for each in chosen(Visit([shop[0]], shop[1]), limit=6)]
    items = chosen(Visit([shop[0]], shop[1]), limit=6, variety=0.7)
    assert Counter(each.item.category for each in items)["tea"] < Counter(plain)["tea"]
    assert items[0].item.category == "tea"
    assert any(step.rule == "varied" for each in items for step in each.trace)


def test_pinned_products_keep_their_place_whatever_the_variety(shop):
    items = chosen(Visit([shop[0]], shop[1]), limit=6, variety=1.0, pinned=(shop[4], shop[5]))
    assert [each.item_id for each in items[:2]] == [shop[4], shop[5]]


def test_variety_without_a_model_leaves_the_list(products):
    visit = Visit([], str(products[0].pk))
    assert chosen(visit, variety=0.9) == chosen(visit)


def test_what_was_shown_so_often_without_a_click_goes_to_the_end(shop):
    visit = visit_of_session(shop)
    first, second, *_ = (each.item_id for each in chosen(visit))
    show([first, second])
    show([first])
    ids = [each.item_id for each in chosen(visit, rotate_after=2)]
    assert first not in ids[:-1]
    assert ids[0] == second
    assert chosen(visit)[0].item_id == first


@pytest.mark.parametrize(
    "other",
    [{"placement": "elsewhere"}, {"session": OTHER_SESSION}, {"minutes": 13 * 60}],
)
def test_other_placements_sessions_and_days_do_not_count(shop, other):
    visit = visit_of_session(shop)
    best = chosen(visit)[0].item_id
    show([best], **other)
    assert chosen(visit, rotate_after=1)[0].item_id == best


def test_what_was_clicked_is_not_rotated(shop):
    show([shop[0], shop[2]])
    context = RuleContext(visit_of_session(shop), Placement("preview", rotate_after=1), None)
    items = [Candidate(item_id, "static", "static") for item_id in (shop[0], shop[2], "9")]
    assert [each.item_id for each in rotated(items, context)] == [shop[0], "9", shop[2]]


def test_sponsored_and_pinned_products_are_not_rotated(shop):
    show([shop[5]])
    assert chosen(visit_of_session(shop), rotate_after=1, pinned=(shop[5],))[0].item_id == shop[5]


def test_where_the_lists_can_t_be_read_nothing_is_rotated(shop, break_table, caplog):
    visit = visit_of_session(shop)
    before = [each.item_id for each in chosen(visit)]
    break_table("sessrec_impression")
    assert [each.item_id for each in chosen(visit, rotate_after=1)] == before
    assert "run manage.py migrate" in caplog.text


def test_the_probabilities_of_a_draw_are_those_that_it_says():
    """Of 4,000 draws from three candidates each comes first as often as its propensity says."""
    items = [Candidate(name, "model", "neighbours") for name in "abc"]
    placement = Placement("preview", explore=0.3, limit=2)
    first: Counter[str] = Counter()
    said: dict[str, float] = {}
    for second in range(4_000):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        context = RuleContext(Visit(session_id=SESSION, at=at), placement, None)
        best = explored(items, context)[0]
        first[best.item_id] += 1
        said[best.item_id] = best.propensity
    assert said == pytest.approx({"a": 0.8, "b": 0.1, "c": 0.1})
    for name, chance in said.items():
        assert first[name] / 4_000 == pytest.approx(chance, abs=0.03)


def test_the_same_visit_at_the_same_moment_gets_the_same_list(shop):
    visit = visit_of_session(shop)
    ids = [each.item_id for each in chosen(visit, explore=0.5)]
    assert [each.item_id for each in chosen(visit, explore=0.5)] == ids
    later = (visit_of_session(shop, visit.at + timedelta(seconds=n)) for n in range(5))
    lists = {tuple(each.item_id for each in chosen(visit, explore=0.5)) for visit in later}
    assert len(lists) > 1


def test_without_a_session_nothing_is_drawn(shop):
    visit = Visit([shop[0]], shop[1])
    assert chosen(visit, explore=0.5) == chosen(visit)


def test_an_impression_keeps_the_probability_of_each_item(shop):
    visit = visit_of_session(shop)
    placement = Placement("preview", ("neighbours",), explore=0.2, pinned=(shop[9],))
    choice = choose(visit, placement)
    impression = remember(choice, visit, placement)
    store.write([impression])
    kept = Impression.objects.get(pk=impression.pk)
    assert kept.propensities == pytest.approx(impression.propensities)
    assert kept.propensities[0] == 1.0
    assert all(0 < chance <= 1 for chance in kept.propensities)
    assert len(kept.propensities) == len(kept.item_ids)


def test_where_nothing_is_drawn_an_impression_has_no_probabilities(shop):
    visit, placement = visit_of_session(shop), Placement("preview", ("neighbours",))
    impression = remember(choose(visit, placement), visit, placement)
    store.write([impression])
    assert Impression.objects.get(pk=impression.pk).propensities is None
