"""Send simulated visitors to the running shop over HTTP, for a bounded time, and show what they do."""

import time
from argparse import ArgumentParser
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock, Semaphore
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from example_shop.shop.browser import Browser, StrangeHostError
from example_shop.shop.models import Product
from example_shop.shop.population import visitors_of
from example_shop.shop.traffic import BROWSER, Traffic

AT_ONCE = 100  # visitors inside; whoever comes while the shop is full stays away


class Command(BaseCommand):
    help = "Drives the running shop on this machine with simulated shoppers and bots."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rate", type=float, default=5, help="visitors that arrive each second")
        parser.add_argument("--minutes", type=float, default=10)
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--think", type=float, default=1.0, help="mean seconds between two clicks")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, rate: float, minutes: float, url: str, think: float, seed: int, **options: Any) -> None:
        if rate <= 0 or minutes <= 0:
            raise CommandError(f"--rate {rate} and --minutes {minutes} must both be above 0")
        self._try(url)
        self.counts: Counter[str] = Counter()
        self.lock = Lock()
        products = list(Product.objects.all())
        pages = [product.get_absolute_url() for product in products]
        traffic = Traffic(url, visitors_of(products), pages, think, self._seen)
        try:
            self._let_in(traffic, rate, time.monotonic() + minutes * 60, np.random.default_rng(seed))
        except KeyboardInterrupt:
            self.stdout.write("\nThe last visitors are leaving.")
        self._show("\n")

    def _try(self, url: str) -> None:
        """Fail at once, and readably, where there is no shop."""
        try:
            with Browser(url, BROWSER) as browser:
                browser.get("/")
        except StrangeHostError as problem:
            raise CommandError(str(problem)) from problem
        except OSError as problem:
            remedy = "start it with `make shop`"
            raise CommandError(f"no shop answers at {url} ({problem}): {remedy}") from problem

    def _let_in(self, traffic: Traffic, rate: float, until: float, draw: np.random.Generator) -> None:
        room = Semaphore(AT_ONCE)

        def leave(visit: Future[None]) -> None:
            room.release()
            if visit.exception():
                self._seen("visits broken off")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            arrival = time.monotonic()
            while (arrival := arrival + draw.exponential(1 / rate)) < until:
                time.sleep(max(0.0, arrival - time.monotonic()))
                if room.acquire(blocking=False):
                    pool.submit(traffic.visit, int(draw.integers(2**32))).add_done_callback(leave)
                else:
                    self._seen("turned away")
                self._show("\r")

    def _seen(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def _show(self, ending: str) -> None:
        with self.lock:
            counts = dict(self.counts)
        self.stdout.write("  ".join(f"{what} {count:,}" for what, count in counts.items()), ending=ending)
        self.stdout.flush()
