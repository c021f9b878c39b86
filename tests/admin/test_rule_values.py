"""Values of rules that no product has: what is said of them, and how long a page asks."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_sessrec.models import PlacementRule
from tests.demo.recommendations import DemoCatalogue
from tests.support.admin import page
from tests.support.placements import NAME, add, url

pytestmark = pytest.mark.django_db


def test_a_value_that_no_product_has_is_said_on_the_page_and_before_it_goes_live(admin_client, shop):
    add(admin_client, "hide", what_attribute="category", what_values="tae\ntea")
    add(admin_client, "boost", what_attribute="category", what_values="cup", places=0,
        on_screen_attribute="category", on_screen_values="Pto")  # fmt: skip
    add(admin_client, "hide", what_attribute="brand", what_values="whatever")  # not listed by the catalogue
    html = page(admin_client, url("page", NAME))
    asked = admin_client.post(url("publish", NAME)).content.decode()
    for said in (
        "“Never show category tae, tea”: no product has the category tae.",
        "“Category cup first” is only for pages of the category Pto, which no product has.",
    ):
        assert said in html
        assert said in asked
    assert html.count("no product has") == 2


class Failing(DemoCatalogue):
    def attribute_values(self, attribute, text, limit):
        raise RuntimeError("no search")


class Thousands(DemoCatalogue):
    def attribute_values(self, attribute, text, limit):
        return [(f"{text} {number}", f"{text} {number}") for number in range(1_000)]


@pytest.mark.parametrize("catalogue", [Failing, Thousands])
def test_nothing_is_said_of_a_value_where_the_catalogue_can_not_tell(admin_client, shop, sessrec, catalogue):
    add(admin_client, "hide", what_attribute="category", what_values="tae")
    sessrec["CATALOGUE"] = f"{__name__}.{catalogue.__name__}"
    assert "no product has" not in page(admin_client, url("page", NAME))


class Finer(DemoCatalogue):
    """As docs/decisions/basket.md advises."""

    def category(self, item):
        return [item.category, f"{item.category}/green"]


class Seasonal(DemoCatalogue):
    def attributes(self, item):
        return {**super().attributes(item), "category": f"{item.category} 2026"}


class Bottled(DemoCatalogue):
    """Its categories are a field of which a rule's value is no key."""

    category_field = "sensitive"


@pytest.mark.parametrize("catalogue", [Finer, Seasonal, Bottled])
def test_nothing_is_said_of_a_value_where_products_answer_more_than_a_field(
    admin_client, shop, sessrec, catalogue
):
    add(admin_client, "hide", what_attribute="category", what_values="tea/green\ntea 2026")
    sessrec["CATALOGUE"] = f"{__name__}.{catalogue.__name__}"
    assert "no product has" not in page(admin_client, url("page", NAME))


class FinerAndListed(Finer):
    def attribute_values(self, attribute, text, limit):
        return [(each, each) for each in ("tea", "tea/green") if text in each]


def test_a_catalogue_that_lists_its_finer_values_is_asked_for_each(admin_client, shop, sessrec):
    add(admin_client, "hide", what_attribute="category", what_values="tea/green\ntea/gren")
    sessrec["CATALOGUE"] = f"{__name__}.FinerAndListed"
    html = page(admin_client, url("page", NAME))
    assert "“Never show category tea/green, tea/gren”: no product has the category tea/gren." in html


def asks(queries) -> int:
    """How often the shop's products were searched for a value."""
    return sum('"demo_product"."category" ' in each["sql"].partition(" WHERE ")[2] for each in queries)


def test_the_values_of_all_rules_are_one_question_to_the_shop(admin_client, shop):
    lines = "\n".join(f"kind {n}" for n in range(100))
    add(admin_client, "hide", what_attribute="category", what_values=lines)
    add(admin_client, "boost", what_attribute="category", what_values=f"tea\n{lines}", places=2)
    for rule in PlacementRule.objects.all():
        with CaptureQueriesContext(connection) as form:
            admin_client.get(url("rule", NAME, rule.pk))
        assert asks(form.captured_queries) == 1
    for look in (
        lambda: page(admin_client, url("page", NAME)),
        lambda: admin_client.post(url("publish", NAME)),
    ):
        with CaptureQueriesContext(connection) as queries:
            look()
        asked = asks(queries.captured_queries)
        assert asked <= 3, "the names that are shown, all values, and the list itself"


class Searching(DemoCatalogue):
    """As a large table without an index is searched."""

    def attribute_values(self, attribute, text, limit):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(30)")
        return []


class Remote(DemoCatalogue):
    """Its values are in another service."""

    asked = 0

    def attribute_values(self, attribute, text, limit):
        Remote.asked += 1
        time.sleep(0.2)
        return [("tea", "tea")] if text in "tea" else []


@pytest.mark.parametrize("catalogue", [Searching, Remote])
def test_a_slow_catalogue_costs_a_warning_and_not_the_page(admin_client, shop, sessrec, catalogue):
    lines = "\n".join(["tea", *(f"kind {n}" for n in range(40, 99))])
    add(admin_client, "hide", what_attribute="category", what_values=lines)
    sessrec["CATALOGUE"] = f"{__name__}.{catalogue.__name__}"
    assert "tea, kind 40, kind 41 and 57 more" in page(admin_client, url("page", NAME))
    asked = admin_client.post(url("publish", NAME))
    assert (asked.status_code, "1 rule becomes live" in asked.content.decode()) == (200, True)
    assert Remote.asked < 20
