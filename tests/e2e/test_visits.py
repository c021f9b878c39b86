"""What a visitor sees who agrees, who does not, who changes her mind; and what the shop then knows."""

import pytest

from tests.browser import needs_chromium
from tests.e2e.walk import accept, open_product, session_of, shown, slot

pytestmark = [pytest.mark.e2e, needs_chromium]
KEPT = ("sessrec_event", "sessrec_impression", "sessrec_failedevent")
ALL_ROWS = "SELECT (SELECT count(*) FROM sessrec_event), (SELECT count(*) FROM sessrec_impression)"


def kinds(shop, item_ids):
    """The kind of each of these products."""
    found = dict(shop.rows("SELECT id::text, category_id FROM shop_product"))
    return [found[item_id] for item_id in item_ids]


def test_the_list_follows_each_click_to_the_newest_intent(visitor, shop):
    page = visitor()
    accept(page)
    lists = []
    for kind, place in (("teapots", 0), ("teapots", 1), ("tents", 0)):
        open_product(page, shop, kind, place=place)
        lists.append(shown(page))
    assert [len(set(each)) for each in lists] == [8, 8, 8]
    assert len({tuple(each) for each in lists}) == 3
    assert kinds(shop, lists[1]).count("teapots") >= 3
    assert kinds(shop, lists[2])[0] == "tents"
    assert kinds(shop, lists[2]).count("tents") >= 3


def test_a_visitor_nobody_knows_gets_a_full_list_of_what_fits(visitor, shop):
    page = visitor()
    accept(page)
    item_id = open_product(page, shop, "tents")
    assert len(set(shown(page))) == 8
    assert item_id not in shown(page)
    assert kinds(shop, shown(page)).count("tents") >= 3


@pytest.mark.parametrize("refusal", ["declines", "sends GPC"])
def test_who_does_not_agree_gets_a_full_list_and_leaves_no_trace(visitor, shop, refusal):
    before = shop.rows(ALL_ROWS)
    page = visitor(extra_http_headers={"Sec-GPC": "1"}) if refusal == "sends GPC" else visitor()
    page.goto("/")
    if refusal == "declines":
        page.get_by_role("button", name="Decline").click()
        page.get_by_role("button", name="Decline").wait_for(state="detached")
    for kind in ("teapots", "tents"):
        item_id = open_product(page, shop, kind)
        assert len(set(shown(page))) == 8
        assert kinds(shop, shown(page))[0] == kind
        assert item_id not in shown(page)
    slot(page).first.click()
    page.wait_for_url(lambda url: item_id not in url)
    kept = {cookie["name"] for cookie in page.context.cookies()}
    assert kept == ({"consent"} if refusal == "declines" else set())
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert shop.rows(ALL_ROWS) == before


def test_a_change_of_mind_deletes_what_was_kept_at_once(visitor, shop):
    page = visitor()
    accept(page)
    open_product(page, shop, "teapots")
    session_id = session_of(page)
    traces = " + ".join(f"(SELECT count(*) FROM {table} WHERE session_id = %(id)s)" for table in KEPT)
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) >= [(2,)]
    page.goto("/privacy/")
    with page.expect_response("**/consent/") as answer:
        page.get_by_role("main").get_by_role("button", name="Decline").click()
    assert "sessrec=" in answer.value.header_value("Set-Cookie")
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) == [(0,)]
    page.get_by_text("You declined: nothing is remembered.").wait_for()
    assert session_of(page) is None
    open_product(page, shop, "tents")
    assert session_of(page) is None
    assert shop.rows(f"SELECT {traces}", {"id": session_id}) == [(0,)]
