"""Write visits of the past days straight into the event store, so that there is something to train on."""

import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand
from django.db import transaction

from django_sessrec.capture.bulk_copy import copy_events
from django_sessrec.capture.event import make
from django_sessrec.capture.rows import EventRow, row_of
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import uuid7
from django_sessrec.measuring.days import day_of, each_day, first_moment, last_days
from django_sessrec.models import DailyPages, EventName, Source
from example_shop.shop.history import Happening, happenings, refund_of
from example_shop.shop.models import Product
from example_shop.shop.population import visitors_of
from example_shop.shop.traffic import DECLINES, IGNORES_BANNER

WITHOUT = DECLINES + IGNORES_BANNER  # share of visits without consent


class Command(BaseCommand):
    help = "Adds simulated visits of the past days and of today so far, whose truth is known."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=5)
        parser.add_argument("--sessions-per-day", type=int, default=3_000)
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, days: int, sessions_per_day: int, seed: int, **options: Any) -> None:
        products = list(Product.objects.all())
        visitors = visitors_of(products)
        draw = np.random.default_rng(seed)
        now = datetime.now(UTC)
        began = time.monotonic()
        total = 0
        views: Counter[tuple[date, bool]] = Counter()  # of each day, by bot; a visit may go on after midnight
        with transaction.atomic(using=sessrec_settings.DATABASE):  # interrupted, it leaves nothing
            for day in each_day(*last_days(days + 1)):
                happened = happenings(visitors, first_moment(day), sessions_per_day, draw)
                until_now = [each for each in happened if each.at <= now]
                written = copy_events(
                    row for each in until_now for row in self._rows(each, products[each.row], draw)
                )
                views.update(
                    (day_of(each.at), each.bot) for each in until_now if each.name == EventName.VIEW_ITEM
                )
                total += written
                self.stdout.write(f"{day:%a %d %b}: {written:,} events")
            self._count_pages(views, seed)
        self.stdout.write(self.style.SUCCESS(f"{total:,} events in {time.monotonic() - began:.1f} s"))

    def _count_pages(self, views: Counter[tuple[date, bool]], seed: int) -> None:
        """The days' pages, with those of visitors who declined or ignored the banner."""
        for day in sorted({day for day, _bot in views}):
            draw = np.random.default_rng([seed, day.toordinal()])
            with_consent = views[day, False]
            pages, _new = DailyPages.objects.get_or_create(day=day)
            pages.with_consent += with_consent
            if with_consent:
                pages.without_consent += int(draw.negative_binomial(with_consent, 1 - WITHOUT))
            pages.bots += views[day, True]
            pages.save()

    def _rows(self, happening: Happening, product: Product, draw: np.random.Generator) -> Iterator[EventRow]:
        """The happening as a row of sessrec_event; one in ten order lines has a refund, too."""
        sold = happening.name != EventName.VIEW_ITEM
        if happening.name == EventName.PURCHASE:
            order_id = str(happening.session_id)
            bought = make(
                "purchase",
                str(product.pk),
                session_id=happening.session_id,
                price=product.price,
                currency="EUR",
                order_id=order_id,
                at=happening.at,
            )
            yield row_of(bought)
            if refund := refund_of(bought, order_id, draw):
                yield row_of(refund)
            return
        yield EventRow(
            event_id=uuid7(happening.at),
            occurred_at=happening.at,
            session_id=happening.session_id,
            name=str(happening.name),
            item_id=str(product.pk),
            price=product.price if sold else None,
            currency="EUR" if sold else "",
            source=str(Source.SERVER),
            bot=happening.bot,
        )
