"""What past visitors were shown and did with it: lists on three pages, an A/A test and a true winner.

The truth is known: lists of the model are followed where they name what the visitor looked at next, popular
ones by chance, and every tenth product that was clicked is bought besides, but for popular ones on product
pages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from uuid import UUID

import numpy as np

from django_sessrec.capture.event import make
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Event, EventName, Impression
from django_sessrec.recsys.composition import live
from django_sessrec.serving.active_models import ActiveModel
from django_sessrec.serving.experiments import assigned
from example_shop.shop.history import refund_of
from example_shop.shop.models import Product
from example_shop.shop.traffic import LOOKS_AT_SUGGESTIONS

MODEL = "neighbours"
SEES_LIST = {"product_page": 0.6, "basket": 0.8, "home": 0.9}  # share of lists that somebody scrolls to
SEES_HOME = 0.5  # share of visits that begin there
FOLLOWS_BY_CHANCE = {"basket": 0.06, "home": 0.05}  # share of seen lists
BUYS_WHAT_IT_CLICKED = 0.1
A_SECOND = timedelta(seconds=1)

HALVES = {"a": {"SHARE": 50}, "b": {"SHARE": 50}}
SAME = "Is the split fair?"  # an A/A test on the home page, until three weeks ago
SAME_DAYS = range(21, 36)
WINNER = "Do lists that follow the session pay?"  # on the product page, until a week ago: the neighbours win
WINNER_DAYS = range(7, 29)
VARIANTS = {"popular": {"SHARE": 50}, MODEL: {"SHARE": 50}}


class PastLists:
    """Lists for stored visits, drawn with the same numbers each time."""

    def __init__(
        self, serving: ActiveModel | None, products: Mapping[str, Product], draw: np.random.Generator
    ) -> None:
        """serving: the model that makes the lists; without it they hold what is popular in the shop."""
        self.serving = serving
        self.products = products
        self.draw = draw
        self.orders = 0
        by_stock = sorted(products, key=lambda item_id: products[item_id].stock)
        self.shown_first = {products[item_id].family: item_id for item_id in by_stock}  # of each family
        self.popular = self._in_stock(serving.popular) if serving else list(products)

    def rows(self, events: Iterable[Event], ago: int) -> Iterator[Event | Impression]:
        """What to store for one day's events, ordered by session and time; ago: the day's age in days."""
        for session_id, visit in groupby(events, lambda event: event.session_id):
            yield from self._visit(session_id, list(visit), ago)

    def _visit(self, session_id: UUID, visit: list[Event], ago: int) -> Iterator[Event | Impression]:
        began = visit[0].occurred_at
        if self.draw.random() < SEES_HOME:
            test = (SAME, assigned(SAME, HALVES, session_id)) if ago in SAME_DAYS else ("", "")
            yield from self._by_chance(
                "home", session_id, began - 20 * A_SECOND, self.popular[:4], "popular", *test
            )
        viewed: list[str] = []
        views = [event for event in visit if event.name == EventName.VIEW_ITEM]
        following = {event.event_id: later for event, later in pairwise(views)}
        for event in visit:
            if event.name == EventName.VIEW_ITEM:
                viewed.append(event.item_id)
                yield from self._beside(event, viewed, following.get(event.event_id), ago)
            elif event.name == EventName.ADD_TO_CART:
                items = self._ranked([event.item_id], {*viewed}, 4)
                step = "model" if self.serving else "popular"
                at = event.occurred_at + A_SECOND
                yield from self._by_chance("basket", session_id, at, items, step, viewed=viewed)

    def _beside(
        self, view: Event, viewed: list[str], later: Event | None, ago: int
    ) -> Iterator[Event | Impression]:
        """The list on a product's page, followed where it names what was viewed next."""
        variant = assigned(WINNER, VARIANTS, view.session_id) if ago in WINNER_DAYS else ""
        by_model = variant != "popular" and self.serving is not None
        hidden = {*viewed}
        items = self._ranked(viewed, hidden, 8) if by_model else self._without(hidden, 8)
        shown = self._impression(
            "product_page",
            view.session_id,
            view.occurred_at + 0.2 * A_SECOND,
            items,
            "model" if by_model else "popular",
            WINNER if variant else "",
            variant,
            8,
            viewed,
        )
        yield shown
        followed = later is not None and later.item_id in items and self.draw.random() < LOOKS_AT_SUGGESTIONS
        if followed or self.draw.random() < SEES_LIST["product_page"]:
            yield self._event(EventName.VIEW_ITEM_LIST, shown)
        if followed and later is not None:
            yield self._event(EventName.SELECT_ITEM, shown, later.item_id, later.occurred_at - 0.1 * A_SECOND)
            if by_model and self.draw.random() < BUYS_WHAT_IT_CLICKED:
                yield from self._order(later.session_id, later.item_id, later.occurred_at)

    def _by_chance(
        self,
        placement: str,
        session_id: UUID,
        at: datetime,
        items: list[str],
        step: str,
        experiment: str = "",
        variant: str = "",
        viewed: Sequence[str] = (),
    ) -> Iterator[Event | Impression]:
        """A list that is clicked now and then, whatever it holds."""
        if not items:
            return
        shown = self._impression(placement, session_id, at, items, step, experiment, variant, 4, viewed)
        yield shown
        if self.draw.random() < SEES_LIST[placement]:
            yield self._event(EventName.VIEW_ITEM_LIST, shown)
            if self.draw.random() < FOLLOWS_BY_CHANCE[placement]:
                clicked = items[int(self.draw.integers(len(items)))]
                yield self._event(EventName.SELECT_ITEM, shown, clicked, at + 8 * A_SECOND)
                if self.draw.random() < BUYS_WHAT_IT_CLICKED:
                    yield from self._order(session_id, clicked, at + 8 * A_SECOND)

    def _ranked(self, clicks: list[str], hidden: set[str], k: int) -> list[str]:
        if self.serving is None:
            return self._without(hidden, k)
        model = self.serving.recommender
        session, out = (model.index.rows(map(self._known_as, items)) for items in (clicks, hidden))
        rows, _scores = model.top(session, k, exclude=out.tolist())
        found = self._in_stock(model.index.item_ids(rows))
        return found + self._without({*found, *hidden}, k - len(found))

    def _known_as(self, item_id: str) -> str:
        """What the model calls a product: by its family, where it has one."""
        return self.products[item_id].family or item_id

    def _in_stock(self, names: Iterable[str]) -> list[str]:
        """Products, each family as the colour of which there is most."""
        shown = (self.shown_first.get(name, name) for name in names)
        return [item_id for item_id in shown if self.products[item_id].stock]

    def _without(self, hidden: set[str], k: int) -> list[str]:
        """The most popular ones that are not hidden."""
        found = []
        for item_id in self.popular:
            if len(found) == k:
                break
            if item_id not in hidden:
                found.append(item_id)
        return found

    def _impression(
        self,
        placement: str,
        session_id: UUID,
        at: datetime,
        items: list[str],
        step: str,
        experiment: str,
        variant: str,
        wanted: int,
        viewed: Sequence[str],
    ) -> Impression:
        impression_id = uuid7(at)
        by_model = step == "model" and self.serving is not None
        return Impression(
            impression_id=impression_id,
            shown_at=time_of(impression_id),
            session_id=session_id,
            placement=placement,
            model=MODEL if by_model else "",
            run_id=self.serving.run_id if by_model and self.serving else None,
            step=step,
            experiment=experiment,
            variant=variant,
            item_ids=items,
            reasons=["neighbours" if by_model else "popular"] * len(items),
            wanted=wanted,
            session_clicks=len(viewed),
            session_intents=self._intents(viewed) if by_model else None,
            duration_us=2_000 + impression_id.int % 5_000,
        )

    def _intents(self, viewed: Sequence[str]) -> int | None:
        if self.serving is None or self.serving.intents is None:
            return None
        return len(live(self.serving.recommender.index.rows(viewed), self.serving.intents))

    def _event(
        self, name: EventName, shown: Impression, item_id: str = "", at: datetime | None = None
    ) -> Event:
        position = shown.item_ids.index(item_id) + 1 if item_id else None
        return make(
            name.value,
            item_id,
            session_id=shown.session_id,
            event_id=uuid7(max(at or shown.shown_at, shown.shown_at)),
            impression_id=shown.impression_id,
            position=position,
            source="browser",
        )

    def _order(self, session_id: UUID, item_id: str, viewed_at: datetime) -> Iterator[Event]:
        """The product is bought a minute after it was viewed, and one in ten comes back."""
        product = self.products.get(item_id)
        if product is None:
            return
        self.orders += 1
        bought = make(
            "purchase",
            item_id,
            session_id=session_id,
            price=product.price,
            currency="EUR",
            order_id=f"past-{session_id}-{self.orders}",
            at=viewed_at + 60 * A_SECOND,
        )
        yield bought
        if refund := refund_of(bought, f"past-{session_id}-{self.orders}", self.draw):
            yield refund
