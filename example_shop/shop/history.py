"""Visits of the past days as events: what the shop would know had it been open."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import numpy as np

from django_sessrec.capture.event import make
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, EventName
from example_shop.shop.visitors import CLICKS_AT_MOST, ShopVisitors

BOTS = 0.03
BASKET_AFTER_VIEW = 0.09
WITH_COMPANION = 0.35  # share of what goes into a basket that takes along what it is used with
BUYS_BASKET = 0.45
COMES_BACK = 0.1  # share of what was bought
BACK_WITHIN_DAYS = 14
SECONDS_PER_PRODUCT = 35  # the median; one in twenty looks for four times as long
# Share of the day's visits that begin in each hour: asleep, at lunch, and on the sofa.
HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 9, 10, 9, 8, 8, 8, 9, 11, 13, 15, 14, 9, 5]) / 169


class Happening(NamedTuple):
    """Something that happened to a product in a visit; becomes one event."""

    session_id: UUID
    at: datetime
    name: str
    row: int
    bot: bool


def happenings(
    visitors: ShopVisitors, day: datetime, sessions: int, draw: np.random.Generator
) -> Iterator[Happening]:
    """One day's visits, each in the order in which it happened; `day` is its midnight by the shop's clock."""
    hours = draw.choice(24, sessions, p=HOURS)
    starts = np.sort(hours * 3600 + draw.integers(0, 3600, sessions))
    for start in starts.tolist():
        at = (day + timedelta(seconds=start)).astimezone(UTC)
        if draw.random() < BOTS:
            yield from _crawl(len(visitors.goods), at, draw)
        else:
            yield from _visit(visitors, at, draw)


def _visit(visitors: ShopVisitors, at: datetime, draw: np.random.Generator) -> Iterator[Happening]:
    session_id = uuid7(at)
    basket: dict[str, int] = {}  # by kind: one teapot is enough
    for row in visitors.visit(draw):
        yield Happening(session_id, at, EventName.VIEW_ITEM, row, bot=False)
        at += _pause(draw)
        if draw.random() >= BASKET_AFTER_VIEW or visitors.goods[row].kind in basket:
            continue
        wanted = [row]
        if draw.random() < WITH_COMPANION and (companion := visitors.companion(row)) is not None:
            yield Happening(session_id, at, EventName.VIEW_ITEM, companion, bot=False)
            wanted.append(companion)
        for each in wanted:
            if (kind := visitors.goods[each].kind) not in basket:
                basket[kind] = each
                yield Happening(session_id, at, EventName.ADD_TO_CART, each, bot=False)
                at += _pause(draw)
    if draw.random() < BUYS_BASKET:
        for row in basket.values():
            yield Happening(session_id, at, EventName.PURCHASE, row, bot=False)


def refund_of(bought: Event, order_id: str, draw: np.random.Generator) -> Event | None:
    """The refund of one in ten order lines, days later; None where it stays, or has not come back yet."""
    back = draw.random() < COMES_BACK
    at = bought.occurred_at + timedelta(days=float(draw.uniform(1, BACK_WITHIN_DAYS)))
    if not back or at > datetime.now(UTC):
        return None
    return make(
        "refund",
        bought.item_id,
        session_id=bought.session_id,
        price=bought.price,
        currency=bought.currency,
        order_id=order_id,
        at=at,
    )


def _crawl(products: int, at: datetime, draw: np.random.Generator) -> Iterator[Happening]:
    """A program that walks along the catalogue, a product a second."""
    session_id = uuid7(at)
    first = int(draw.integers(products))
    for step in range(CLICKS_AT_MOST):
        row = (first + step) % products
        yield Happening(session_id, at + timedelta(seconds=step), EventName.VIEW_ITEM, row, bot=True)


def _pause(draw: np.random.Generator) -> timedelta:
    return timedelta(seconds=SECONDS_PER_PRODUCT * float(np.exp(draw.normal(0, 0.85))))
