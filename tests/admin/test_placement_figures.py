"""What a placement brought, on its page."""

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from django_sessrec.admin.placement_figures import without_rare
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import ONE, day_of, today
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.models import TrainingRun
from tests.support.admin import page
from tests.support.history import buy, click, show
from tests.support.placements import NAME, url

pytestmark = pytest.mark.django_db


def test_what_a_placement_brought_and_who_made_its_lists(admin_client, shop):
    html = page(admin_client, url("page", NAME))
    assert "What it brought" not in html, "nothing was shown yet"
    now = timezone.now()
    run = TrainingRun.objects.get()
    for n, made_by in enumerate(["neighbours"] * 3 + [""]):
        session = uuid7(now)
        items = [str(each.pk) for each in shop[n : n + 8 - (n == 3)]]
        step = (
            {"model": made_by, "run_id": run.pk, "step": "model"}
            if made_by
            else {"model": "", "step": "popular"}
        )
        shown = show(session, now, items, placement=NAME, wanted=8, **step)
        if not n:
            click(session, now, items[0], shown, position=1)
            buy(session, now, items[0], "9.90")
    show(uuid7(now), now, [], placement=NAME, model="", step="holdout", variant="none")
    roll_up(today())
    answer = admin_client.get(url("page", NAME))
    figures = {str(heading): cell.text for heading, cell in answer.context["figures"]}
    assert figures["Sales after a click"] == "9.90 EUR"
    assert figures["Full lists"] == "75.0\N{NO-BREAK SPACE}%"
    assert (figures["Products in a list"], figures["Different products"]) == ("7.8", "10")
    assert [(name, share) for _number, name, share in answer.context["sources"].legend] == [
        ("neighbours", "75.0\N{NO-BREAK SPACE}%"),
        ("most popular", "25.0\N{NO-BREAK SPACE}%"),
    ]
    assert answer.content.decode().count("<rect ") == 2
    assert answer.context["sources"].table.rows == [
        (date_format(today()), ["75.0\N{NO-BREAK SPACE}%", "25.0\N{NO-BREAK SPACE}%"])
    ]
    assert '<th scope="col" class="sessrec-number">most popular</th>' in answer.content.decode()


def test_what_a_placement_brought_is_of_the_same_days_as_on_today(admin_client, shop):
    for ago in (0, 1):
        at = timezone.now() - ago * ONE
        for _list in range(1 + ago):
            show(uuid7(at), at, [str(shop[1].pk)], placement=NAME, model="neighbours", step="model")
        roll_up(day_of(at))
    answer = admin_client.get(url("page", NAME))
    figures = {str(heading): cell.text for heading, cell in answer.context["figures"]}
    assert figures["Lists shown"] == "2"


def test_rare_sources_are_one_layer():
    made = {str(number): {"monday": number, "tuesday": 1} for number in range(1, 9)}
    few = without_rare(made)
    assert list(few) == ["8", "7", "6", "5", "4", "others"]
    assert few["others"] == {"monday": 6, "tuesday": 3}
    assert without_rare({"1": {"monday": 1}}) == {"1": {"monday": 1}}
