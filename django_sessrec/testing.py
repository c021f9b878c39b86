"""Support for a shop's own tests: captured events, changed settings, a reset process.

    from django_sessrec.testing import capture_events, fake_recommendations, override_sessrec

    class BasketTests(TestCase):
        @override_sessrec(CONSENT="shop.consent.always")
        def test_the_basket_is_recorded(self):
            with capture_events() as events:
                self.client.post("/basket/", {"product": 7})
            self.assertEqual([(event.name, event.item_id) for event in events], [("add_to_cart", "7")])

        def test_the_product_page_shows_the_list(self):
            with fake_recommendations([self.teapot, self.cup]):
                self.assertContains(self.client.get("/product/7/"), "Stoneware teapot")

All of it works in Django's TestCase and in pytest. Call reset() between tests that take a database, a broker
or a model away: a web process remembers for some seconds that one did not answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from django.conf import settings
from django.db import connections
from django.test.utils import override_settings

from django_sessrec import events as events_door
from django_sessrec import safety
from django_sessrec.capture import (
    client_address,
    orders_without_session,
    page_counts,
    shop_transaction,
)
from django_sessrec.capture.cache_waits import cache_breaker
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.store import WriteResult
from django_sessrec.capture.tracker import Tracker
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.conf import SETTINGS
from django_sessrec.conf.setting import unknown_keys
from django_sessrec.models import Event, Impression
from django_sessrec.recsys.recommender import Source
from django_sessrec.serving import (
    active_models,
    choose,
    experiments,
    families,
    merchant_rules,
    popular,
    shop_wide,
)
from django_sessrec.serving.candidate import MODEL, Candidate
from django_sessrec.serving.placements import Placement
from django_sessrec.serving.visit import Visit

__all__ = ["capture_events", "fake_recommendations", "override_sessrec", "reset"]

AWAITING_COMMIT: Final = (Tracker._accept, events_door._deliver, orders_without_session.keep)


class override_sessrec(override_settings):  # noqa: N801
    """Change keys of SESSREC and leave the others: decorator of functions and TestCases, and context manager.

    override_sessrec(CONSENT=None, SESSION_IDLE_MINUTES=5)

    TypeError for a key that SESSREC does not know.
    """

    def __init__(self, **keys: Any) -> None:
        super().__init__()
        for key, hint in unknown_keys(keys, SETTINGS):
            raise TypeError(f"SESSREC has an unknown key {key!r}; {hint[0].lower()}{hint[1:]}")
        self.keys = keys

    def enable(self) -> None:
        self.options = {"SESSREC": {**getattr(settings, "SESSREC", {}), **self.keys}}
        super().enable()

    def save_options(self, test_func: Any) -> None:
        overridden = test_func._overridden_settings or {}
        before = overridden.get("SESSREC", getattr(settings, "SESSREC", {}))
        test_func._overridden_settings = {**overridden, "SESSREC": {**before, **self.keys}}


@contextmanager
def capture_events(*, store_them: bool = False) -> Iterator[list[Event]]:
    """Hand over the events that the code inside records, in order, as unsaved rows.

    store_them: also write them, with the lists shown, keep wrong ones and erase who withdraws; otherwise
        nothing reaches database, stream or broker

    Events of a transaction are there when it has committed. A TestCase's own never does: its events are there
    at the end of the block, but for those of a savepoint that was rolled back.
    """
    captured: list[Event] = []
    deliver = outbox.deliver

    def capture(events: Sequence[Event], impressions: Sequence[Impression] = ()) -> WriteResult | None:
        captured.extend(events)
        return deliver(events, impressions) if store_them else WriteResult(stored=len(events))

    waiting = {each.alias: len(each.run_on_commit) for each in connections.all(initialized_only=True)}
    with ExitStack() as patches:
        patches.enter_context(patch.object(outbox, "deliver", capture))
        if not store_them:
            for owner, verb in (
                (outbox, "reject"),
                (outbox, "erase"),
                (orders_without_session, "store"),
                (page_counts.pages, "count"),
            ):
                patches.enter_context(patch.object(owner, verb, _nothing))
        yield captured
        for connection in connections.all(initialized_only=True):
            _run_ours(connection, waiting.get(connection.alias, 0))


@contextmanager
def fake_recommendations(items: Sequence[Any]) -> Iterator[None]:
    """Let every list be made of these items, ids or the shop's objects, in place of what models would say.

    The rest is real: rules, the live catalogue (a product must exist and be for sale), template, impression.
    TypeError for what has no id, such as an object that is not saved; a warning names the items that the
    catalogue does not offer when the block begins.
    """
    if isinstance(items, str | bytes):
        raise TypeError(f"{items!r} is not a list of items")
    catalogue = get_catalogue()
    named = {_id_of(item, catalogue): item for item in items}
    offered = catalogue.resolve(named)
    if missing := ", ".join(repr(item) for item_id, item in named.items() if item_id not in offered):
        warnings.warn(
            f"The catalogue does not offer {missing}: no list shows what it leaves out.", stacklevel=3
        )

    def proposed(_visit: Visit, _placement: Placement, _catalogue: TextCatalogue) -> Iterator[Candidate]:
        for item_id in named:
            yield Candidate(item_id, MODEL, Source.SESSION, model="fake")

    with patch.object(choose, "candidates", proposed):
        yield


def _id_of(item: Any, catalogue: TextCatalogue) -> str:
    try:
        return catalogue.id_of(item)
    except (AttributeError, TypeError) as problem:
        raise TypeError(f"{item!r} has no id: give ids, or saved objects of the shop") from problem


def reset() -> None:
    """Forget what this process remembers: failed services, rows that wait, models, popular items."""
    outbox.reset()
    for room in (
        active_models, experiments, families, merchant_rules, page_counts, popular, safety, shop_wide,
    ):  # fmt: skip
        room.forget()
    client_address.warn_of_proxies.cache_clear()
    cache_breaker.resume()


def _nothing(*_given: object) -> None:
    """In place of what writes."""


def _run_ours(connection: Any, start: int) -> None:
    """Run the callbacks that wait for a commit, the package's only, and take them out of the queue."""
    registered = connection.run_on_commit[start:]
    ours = [each for each in registered if _is_ours(each[1])]
    connection.run_on_commit[start:] = [each for each in registered if each not in ours]
    for _savepoints, callback, *_ in ours:
        callback()


def _is_ours(callback: Any) -> bool:
    if isinstance(callback, partial) and callback.func is shop_transaction.committed:
        return _is_ours(callback.args[-1])
    function = getattr(callback, "func", None) if isinstance(callback, partial) else None
    return getattr(function, "__func__", function) in AWAITING_COMMIT
