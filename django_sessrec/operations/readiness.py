"""Readiness: what a shop captures, what it does not yet, what each step unlocks, and the line to add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TypeVar

from django.utils.translation import gettext as _

from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.figure_models import Refund
from django_sessrec.measuring.days import last_days
from django_sessrec.measuring.kpis import Kpi, Pages, Sessions, figures, sessions
from django_sessrec.models import Promotion
from django_sessrec.operations.heartbeat import programs
from django_sessrec.safety import never_raises

DAYS = 30  # in which a step must have been seen
BASKET_LINE = (
    'request.sessrec.record("add_to_cart", product, quantity=1, price=product.price, currency="EUR")'
)
ORDER_LINE = BASKET_LINE.replace("add_to_cart", "purchase")[:-1] + ", order_id=order.pk)"
REFUND_LINE = BASKET_LINE.replace("add_to_cart", "refund")[:-1] + ", order_id=order.pk)"
NOTHING: list[str] = []
Counted = TypeVar("Counted", Sessions, Pages)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of setting up; `line` is what to add or to run where it is not done yet."""

    key: str
    title: str
    done: bool
    unlocks: str
    line: str


def steps() -> list[Step]:
    """Every step in the order in which to take them, from the sums of the last days."""
    return list(_steps())


def _steps() -> Iterator[Step]:
    days = last_days(DAYS)
    shop = sum_of(Sessions, sessions(*days).values())
    whole = figures(*days).get((), Kpi())
    yield Step(
        "catalogue",
        _("The catalogue names products"),
        bool(_products()),
        _("Lists can be filled from the first visitor on."),
        'SESSREC = {"CATALOGUE": "shop.recommendations.ProductCatalogue"}',
    )
    yield Step(
        "consent",
        _("Consent is connected"),
        sessrec_settings.CONSENT is not None,
        _("Visits may be captured; without it lists follow only the product on the page."),
        'SESSREC = {"CONSENT": "shop.recommendations.consent"}',
    )
    yield Step(
        "views",
        _("Product views are captured"),
        shop.sessions > 0,
        _("Models have something to learn from."),
        'SESSREC = {"TRACKED_VIEWS": {"shop:product": "pk"}}',
    )
    yield Step(
        "lists",
        _("Lists are shown"),
        whole.impressions > 0,
        _("Clicks and sales can be credited to a list."),
        '{% load sessrec %}{% sessrec_recommendations "product_page" %}',
    )
    yield Step(
        "seen",
        _("Lists report when they are seen"),
        whole.seen_impressions > 0,
        _("Tells lists that nobody scrolled to from lists that nobody liked."),
        "{% load sessrec %}{% sessrec_scripts %}",
    )
    yield Step(
        "baskets",
        _("Baskets are recorded"),
        shop.with_basket > 0,
        _("What is in the basket is no longer recommended; the basket page gets lists of its own."),
        BASKET_LINE,
    )
    yield Step(
        "orders",
        _("Orders are recorded"),
        bool(whole.money),
        _("Sales after a click, their share of all sales, and experiments that are judged by money."),
        ORDER_LINE,
    )
    yield Step(
        "refunds",
        _("Refunds are recorded"),
        Refund.objects.exists(),  # at any time: a good month has none
        _("Sales are net of what came back."),
        REFUND_LINE,
    )
    yield Step(
        "model",
        _("A model serves"),
        Promotion.objects.exists(),
        _("Lists follow the clicks of the session."),
        "python manage.py sessrec_train",
    )
    background = programs()
    yield Step(
        "processes",
        _("Background processes run"),
        all(program.alive for program in background),
        _("Models are trained on schedule, old rows are removed, figures are counted."),
        "\n".join(program.command for program in background),
    )


def sum_of(kind: type[Counted], days: Iterable[Counted]) -> Counted:
    """The sessions, or the pages, of several days together."""
    total = dict.fromkeys((field.name for field in fields(kind)), 0)
    for each in days:
        for name in total:
            total[name] += getattr(each, name)
    return kind(**total)


@never_raises("ask the catalogue for products", default=NOTHING)
def _products() -> list[str]:
    return get_catalogue().fallback(1)
