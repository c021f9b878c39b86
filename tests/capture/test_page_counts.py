"""Tracked pages are counted by consent, in sums that are written once a minute."""

from datetime import date

import pytest
from django.db import OperationalError

from django_sessrec.capture import page_counts
from django_sessrec.figure_models import DailyPages
from django_sessrec.measuring.days import today
from django_sessrec.measuring.kpis import Pages, pages

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at_once(monkeypatch):
    """Each page is written by itself."""
    monkeypatch.setattr(page_counts, "SECONDS", 0.0)


def counted():
    return pages(today(), today()).get(today())


def test_pages_of_people_are_told_by_their_consent(at_once, visitor):
    for _page in range(3):
        visitor.get("/product/1/")
    visitor.cookies.clear()
    visitor.get("/product/1/")
    assert counted() == Pages(with_consent=3, without_consent=1)
    assert counted().consent_share == 0.75


def test_bots_and_staff_are_counted_by_themselves(at_once, visitor, admin_user):
    visitor.get("/product/1/", headers={"user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"})
    visitor.force_login(admin_user)
    visitor.get("/product/1/")
    assert counted() == Pages(staff=1, bots=1)
    assert counted().consent_share is None


def test_what_nobody_looks_at_is_no_page(at_once, stranger):
    stranger.get("/product/1/", headers={"sec-purpose": "prefetch"})
    stranger.head("/product/1/")
    stranger.get("/gone/1/")
    assert counted() is None


def test_nothing_is_written_within_a_minute(stranger):
    page_counts.forget()
    for _page in range(3):
        stranger.get("/product/1/")
    assert not DailyPages.objects.exists()


def test_pages_count_on_the_day_on_which_they_were_shown(monkeypatch, stranger):
    page_counts.forget()
    monday, tuesday = date(2026, 11, 30), date(2026, 12, 1)
    for day, seconds in ((monday, 60.0), (monday, 60.0), (tuesday, 0.0)):  # a night without a page
        monkeypatch.setattr(page_counts.timezone, "localdate", lambda day=day, **_zone: day)
        monkeypatch.setattr(page_counts, "SECONDS", seconds)
        stranger.get("/product/1/")
    assert dict(DailyPages.objects.values_list("day", "without_consent")) == {monday: 2, tuesday: 1}


def test_what_the_database_did_not_take_goes_with_the_next_write(at_once, monkeypatch, stranger):
    def away(*_args, **_options):
        raise OperationalError("away")

    with monkeypatch.context() as broken:
        broken.setattr(page_counts, "execute_with_deadline", away)
        assert stranger.get("/product/1/").status_code == 200
    stranger.get("/product/1/")
    assert counted() == Pages(without_consent=2)
