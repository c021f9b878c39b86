"""Show lists to simulated visitors of the past days, so that the report has figures."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand

from django_sessrec.capture import store
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Event, EventName, Impression
from django_sessrec.recommendations import Visit, choose, placement_for, remember
from example_shop.shop.history import Happening, happenings
from example_shop.shop.models import Product
from example_shop.shop.population import visitors_of
from example_shop.shop.traffic import LOOKS_AT_SUGGESTIONS

PLACEMENT = "product_page"
SEES_LIST = 0.6  # share of lists that somebody scrolls to


class Command(BaseCommand):
    help = "Adds lists of the past days, made by what serves now, and what simulated visitors did with them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--sessions-per-day", type=int, default=40)
        parser.add_argument("--seed", type=int, default=2)

    def handle(self, days: int, sessions_per_day: int, seed: int, **options: Any) -> None:
        self.products = list(Product.objects.all())
        self.draw = np.random.default_rng(seed)
        visitors = visitors_of(self.products)
        now = datetime.now(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        lists = 0
        for day in [today - timedelta(days=ago) for ago in range(days, 0, -1)]:
            happened = happenings(visitors, day, sessions_per_day, self.draw)
            people = (each for each in happened if each.at <= now and not each.bot)
            visits = [list(visit) for _, visit in groupby(people, lambda each: each.session_id)]
            rows = [row for visit in visits for row in self._rows(visit)]
            shown = [row for row in rows if isinstance(row, Impression)]
            store.write([row for row in rows if isinstance(row, Event)], shown)
            lists += len(shown)
        self.stdout.write(self.style.SUCCESS(f"{lists:,} lists in {days} days"))

    def _rows(self, visit: list[Happening]) -> Iterator[Event | Impression]:
        """The visit's events, and a list on each product's page."""
        viewed: list[str] = []
        impression: Impression | None = None
        for happening in visit:
            if happening.name != EventName.VIEW_ITEM:
                price = self.products[happening.row].price
                yield self._event(happening.name, happening, price=price, currency="EUR")
                continue
            item_id = str(self.products[happening.row].pk)
            if impression and item_id in impression.item_ids and self.draw.random() < LOOKS_AT_SUGGESTIONS:
                position = impression.item_ids.index(item_id) + 1
                of_list = {"impression_id": impression.impression_id, "position": position}
                yield self._event(EventName.SELECT_ITEM, happening, **of_list)
            viewed.append(item_id)
            if impression := self._list(viewed, happening):
                yield impression
                if self.draw.random() < SEES_LIST:
                    of_list = {"impression_id": impression.impression_id, "item_id": ""}
                    yield self._event(EventName.VIEW_ITEM_LIST, happening, **of_list)

    def _list(self, viewed: list[str], happening: Happening) -> Impression | None:
        visit = Visit(viewed, viewed[-1], session_id=happening.session_id, at=happening.at)
        placement = placement_for(PLACEMENT, visit)
        impression = remember(choose(visit, placement), visit, placement)
        if impression:
            impression.impression_id = uuid7(happening.at)
            impression.shown_at = time_of(impression.impression_id)
        return impression

    def _event(self, name: str, happening: Happening, **columns: Any) -> Event:
        event_id = uuid7(happening.at)
        given = {"item_id": str(self.products[happening.row].pk), **columns}
        return Event(
            event_id=event_id,
            occurred_at=time_of(event_id),
            session_id=happening.session_id,
            name=str(name),
            **given,
        )
