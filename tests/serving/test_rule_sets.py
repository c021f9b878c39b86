"""Rules as rows: drafted, published, undone, and followed by pages within seconds."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_sessrec.models import RuleSet
from django_sessrec.recommendations import get_recommendations, placement_for
from django_sessrec.serving import merchant_rules
from django_sessrec.serving.rule_sets import (
    RuleSetError,
    discard,
    draft_of,
    drafting,
    live_set,
    publish,
    restore,
)

pytestmark = pytest.mark.django_db
PLACEMENT = "product_page"


@pytest.fixture
def shop(products, trails, promote):
    promote(trails)
    return products


def first(shop):
    return get_recommendations(None, PLACEMENT, item=shop[8]).items[0].item


def pin(rule_set: RuleSet, product, position=1):
    return rule_set.rules.create(kind="pin", parameters={"item": str(product.pk), "position": position})


def test_a_draft_changes_no_list_before_it_is_published(shop):
    usual = first(shop)
    draft = draft_of(PLACEMENT, "ada")
    pin(draft, shop[21])
    merchant_rules.forget()
    assert first(shop) == usual
    publish(draft, "ada", "the teapots are new")
    assert first(shop) == shop[21]
    assert (draft.published_by, draft.reason) == ("ada", "the teapots are new")


def test_a_placement_has_one_draft_and_it_begins_as_what_is_live(shop):
    draft = draft_of(PLACEMENT, "ada")
    assert draft_of(PLACEMENT, "bob") == draft
    pin(draft, shop[21])
    draft.changes = {"LIMIT": 3}
    draft.save()
    publish(draft, "ada", "")
    after = draft_of(PLACEMENT, "bob")
    assert after != draft
    assert [rule.parameters["item"] for rule in after.rules.all()] == [str(shop[21].pk)]
    assert after.changes == {"LIMIT": 3}
    with pytest.raises(IntegrityError), transaction.atomic():
        RuleSet.objects.create(placement=PLACEMENT, changed_by="eve")


def test_undoing_publishes_the_earlier_rules_again_and_keeps_the_draft(shop):
    usual = first(shop)
    empty = publish(draft_of(PLACEMENT, "ada"), "ada", "a start")
    draft = draft_of(PLACEMENT, "ada")
    pin(draft, shop[21])
    publish(draft, "ada", "pinned")
    work = draft_of(PLACEMENT, "ada")
    pin(work, shop[23])
    assert first(shop) == shop[21]
    restore(empty, "bob", "wrong pot")
    assert first(shop) == usual
    assert [each.reason for each in RuleSet.objects.history(PLACEMENT)] == ["wrong pot", "pinned", "a start"]
    assert RuleSet.objects.draft(PLACEMENT) == work
    publish(work, "ada", "the other pot")
    assert live_set(PLACEMENT) == work, "the time of publishing counts, not that of drafting"
    assert first(shop) == shop[21], "both are pinned to the first place: the earlier rule wins"


def test_a_draft_is_published_once(shop):
    draft = draft_of(PLACEMENT, "ada")
    publish(draft, "ada", "")
    with pytest.raises(RuleSetError):
        publish(draft, "bob", "")
    with pytest.raises(RuleSetError):
        restore(draft_of(PLACEMENT, "ada"), "bob", "")


def test_a_rule_deleted_while_pages_run_is_followed_when_the_rows_are_read_again(shop, monkeypatch):
    usual = first(shop)
    draft = draft_of(PLACEMENT, "ada")
    rule = pin(draft, shop[21])
    publish(draft, "ada", "")
    assert first(shop) == shop[21]
    rule.delete()
    assert first(shop) == shop[21], "within CHECK_SECONDS the rows are not read again"
    monkeypatch.setattr(merchant_rules, "CHECK_SECONDS", 0)
    merchant_rules._live._due = 0
    assert first(shop) == usual


def test_rows_are_one_query_every_few_seconds_for_all_placements(shop, settings):
    settings.SESSREC = settings.SESSREC | {"PLACEMENTS": {PLACEMENT: {}, "home": {"LIMIT": 4}}}
    for name in (PLACEMENT, "home"):
        draft = draft_of(name, "ada")
        for product in shop[20:25]:
            pin(draft, product)
        publish(draft, "ada", "")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            assert len(merchant_rules.live(PLACEMENT).rules) == len(merchant_rules.live("home").rules) == 5
    assert len([each for each in queries if "placementrule" in each["sql"]]) == 1


def test_rows_stand_over_the_settings_and_under_the_variant(settings, shop):
    settings.SESSREC = settings.SESSREC | {
        "PLACEMENTS": {PLACEMENT: {"MAX_PER_CATEGORY": 4, "HIDE_VIEWED": False}}
    }
    draft = draft_of(PLACEMENT, "ada")
    draft.changes = {"LIMIT": 3, "MAX_PER_CATEGORY": 0, "TEMPLATE": "evil.html", "HIDE_VIEWED": "yes"}
    draft.save()
    publish(draft, "ada", "")
    settled = placement_for(PLACEMENT)
    assert (settled.limit, settled.max_per_category, settled.hide_viewed) == (3, 4, False)
    assert settled.template == "sessrec/recommendations.html"


def test_lists_follow_the_last_known_rules_while_the_database_rests(shop, monkeypatch):
    draft = draft_of(PLACEMENT, "ada")
    pin(draft, shop[21])
    publish(draft, "ada", "")
    known = merchant_rules.live(PLACEMENT)
    monkeypatch.setattr(merchant_rules, "CHECK_SECONDS", 0)
    merchant_rules._live._due = 0
    merchant_rules.database_breaker.rest()
    assert merchant_rules.live(PLACEMENT) is known


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_is_being_changed_is_published_after_the_change(shop):
    draft = draft_of(PLACEMENT, "ada")

    def go_live():
        try:
            publish(draft, "bob", "now")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as bob:
        with drafting(PLACEMENT, "ada") as mine:
            done = bob.submit(go_live)
            with pytest.raises(TimeoutError):
                done.result(0.5)
            mine.changes = {"LIMIT": 3}
            mine.save()
        done.result(30)
    live = live_set(PLACEMENT)
    assert (live.pk, live.published_by, live.changes) == (draft.pk, "bob", {"LIMIT": 3})
    with drafting(PLACEMENT, "ada") as next_one:
        assert next_one.pk != draft.pk, "what is live is never changed"


def test_a_draft_that_a_colleague_has_published_is_not_discarded(shop):
    seen = draft_of(PLACEMENT, "ada")
    pin(seen, shop[21])
    publish(RuleSet.objects.get(pk=seen.pk), "bob", "now")
    with pytest.raises(RuleSetError, match="published or discarded already"):
        discard(seen)
    assert live_set(PLACEMENT).rules.count() == 1
    with pytest.raises(RuleSetError, match="published or discarded already"):
        publish(seen, "ada", "too")
