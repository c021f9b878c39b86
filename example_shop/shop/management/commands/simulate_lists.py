"""Give the stored visits of the past days their lists, so that the admin's pages have what to show."""

import time
from argparse import ArgumentParser
from datetime import date
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand
from django.db import transaction

from django_sessrec.capture import store
from django_sessrec.conf import sessrec_settings
from django_sessrec.measuring.days import ONE, each_day, first_moment, last_days
from django_sessrec.models import Event, Impression
from django_sessrec.serving.active_models import active
from example_shop.shop.models import Product
from example_shop.shop.past_experiments import remember
from example_shop.shop.past_lists import A_SECOND, MODEL, PastLists

AT_ONCE = 1_000  # rows of a statement


class Command(BaseCommand):
    help = (
        "Adds lists to the past days' visits, made by the model that serves, and what visitors did with them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=35)
        parser.add_argument("--seed", type=int, default=2)

    def handle(self, days: int, seed: int, **options: Any) -> None:
        serving = active(MODEL)
        products = {str(product.pk): product for product in Product.objects.all()}
        past = PastLists(serving, products, np.random.default_rng(seed))
        began, total = time.monotonic(), 0
        first, last = last_days(days + 1)
        for day in each_day(first, last):
            lists = self._day(past, day, ago=(last - day).days)
            total += lists
            self.stdout.write(f"{day:%a %d %b}: {lists:,} lists")
        remember(last, days)  # last: `make shop` knows by them that the lists are complete
        self.stdout.write(self.style.SUCCESS(f"{total:,} lists in {time.monotonic() - began:.1f} s"))

    def _day(self, past: PastLists, day: date, *, ago: int) -> int:
        """The day's lists; none where they were made before."""
        start, end = first_moment(day), first_moment(day + ONE)
        own = start + A_SECOND  # a list before that may belong to the last view of the day before
        if Impression.objects.filter(shown_at__gte=own, shown_at__lt=end).exists():
            return 0
        events = Event.objects.filter(bot=False, occurred_at__gte=start, occurred_at__lt=end)
        rows = list(past.rows(events.order_by("session_id", "event_id"), ago))
        with transaction.atomic(using=sessrec_settings.DATABASE):  # a day is made whole or not at all
            for first in range(0, len(rows), AT_ONCE):
                batch = rows[first : first + AT_ONCE]
                lists = [row for row in batch if isinstance(row, Impression)]
                store.write([row for row in batch if isinstance(row, Event)], lists)
        return sum(isinstance(row, Impression) for row in rows)
