"""Products and data: what needs a look, whose visits count, and how far the shop is."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils.formats import date_format

from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, day_of, today
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import DailyPages, DailyShop
from tests.demo.models import Product
from tests.support.admin import page
from tests.support.axe import violations
from tests.support.browser import needs_chromium
from tests.support.history import buy, click, minutes, show

pytestmark = pytest.mark.django_db
PAGE = "admin:sessrec_products"


def test_flaws_readiness_and_visitors_are_on_the_page(admin_client):
    for name in ("green tea", "<b>black</b> tea"):
        Product.objects.create(name=name, category="tea")
    html = page(admin_client, reverse(PAGE))
    assert "Without a picture: 2" in html
    assert "&lt;b&gt;black&lt;/b&gt; tea" in html
    assert "Readiness:" in html
    assert "Sessions with consent" in html
    assert f"{reverse('admin:sessrec_inspector_changelist')}?item=" in html


def test_the_share_of_pages_with_consent(admin_client):
    card = {str(heading): cell.text for heading, cell in admin_client.get(reverse(PAGE)).context["cards"]}
    assert card["Pages with consent"] == "\N{EN DASH}"
    DailyPages.objects.create(day=today(), with_consent=30, without_consent=10, bots=99)
    answer = admin_client.get(reverse(PAGE))
    cards = {str(heading): (cell.text, cell.note) for heading, cell in answer.context["cards"]}
    assert cards["Pages with consent"] == ("75.0\N{NO-BREAK SPACE}%", "of 40 pages")


def test_whose_visits_count_is_of_the_same_days_as_on_today(admin_client):
    for ago, of_day in ((0, 500), (1, 3), (28, 2), (29, 700)):
        DailyShop.objects.create(
            day=today() - ago * ONE, sessions=of_day, bots=0, quarantined=0, with_list=0, with_basket=0,
            with_order=0,
        )  # fmt: skip
    answer = admin_client.get(reverse(PAGE))
    cards = {str(heading): cell.text for heading, cell in answer.context["cards"]}
    assert cards["Sessions with consent"] == "5"
    assert f"In the 28 days up to {date_format(today() - ONE)}." in answer.content.decode()


def test_products_deleted_after_they_were_bought_stay_in_the_figures(admin_client):
    kept, gone = (Product.objects.create(name=name, category="tea") for name in ("green tea", "lost tea"))
    at = datetime.now(UTC) - timedelta(days=1)
    for number in range(6):
        visit = uuid7(at + minutes(number))
        shown = show(visit, at, [str(kept.pk), str(gone.pk)])
        click(visit, at + minutes(1), str(gone.pk), shown)
        buy(visit, at + minutes(2), str(gone.pk), "10")
    gone_id = str(gone.pk)
    gone.delete()
    roll_up(day_of(at))
    html = page(admin_client, reverse(PAGE))
    assert "Shown lately, not offered now: 1" in html
    assert "60.00" in page(admin_client, reverse("admin:sessrec_report_changelist"))
    assert page(admin_client, reverse("admin:app_list", args=["sessrec"]))
    inspector = reverse("admin:sessrec_inspector_changelist")
    assert gone_id in page(admin_client, f"{inspector}?item={gone_id}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT shown, sold FROM sessrec_bi_items WHERE item_id = %s", [gone_id])
        assert cursor.fetchone() == (6, 6)


def test_a_catalogue_that_raises_leaves_the_rest(admin_client, settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": "nowhere.Catalogue"}
    html = page(admin_client, reverse(PAGE))
    assert "Nothing was found." in html
    assert "Readiness:" in html


def test_only_who_may_see_the_report_sees_it(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("packer", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403


@pytest.mark.e2e
@needs_chromium
@pytest.mark.django_db(transaction=True)
def test_it_breaks_no_rule_of_accessibility(tab):
    Product.objects.create(name="tea", category="tea")
    tab.goto(reverse(PAGE))
    assert violations(tab) == []
