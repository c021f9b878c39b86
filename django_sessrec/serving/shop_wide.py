"""What goes on in the whole shop: trending, bought and watched items, the same for everybody.

Counted from events in the web process, from a bounded number of the newest ones, and kept for a minute: each
works from the first events of a new shop and needs no training run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import zip_longest
from math import log
from typing import Any, Final

from django.utils import timezone

from django_sessrec.capture.fast_query import bounded
from django_sessrec.catalogue import TextCatalogue
from django_sessrec.models import Event, EventName, Quarantine
from django_sessrec.safety import isolated
from django_sessrec.serving.ttl import CachedValue

SAMPLE: Final = 5_000  # newest events counted: bounds what a busy shop pays
KEPT: Final = 1_000
REFRESH_SECONDS: Final = 60
TRENDING_DAYS: Final = 7
BOUGHT_DAYS: Final = 30
WATCHED_MINUTES: Final = 30
HALF_LIFE: Final = timedelta(days=1)  # of a view
SHORTEST_HALF_LIFE: Final = timedelta(hours=6)  # where a busy shop's sample spans less than a few days
DAMPING: Final = 2.0  # views that an item is given before: one view of an unknown item is no trend
CATEGORY_ITEMS: Final = 5_000  # that a list of a category may choose from
CATEGORIES_KEPT: Final = 500  # lists of one category or of several
CATEGORY_ITEMS_KEPT: Final = 100_000  # in all of these: any visitor may ask for any combination
MAIN_CATEGORIES: Final = 24  # a query each, once in RANGE_SECONDS in each web process
OF_EACH: Final = 2  # items: one may be sold out or hidden meanwhile
RANGE_SECONDS: Final = 600

View = tuple[str, Any, datetime]  # item id, session, time


def trending() -> list[str]:
    """Item ids by how much more they are viewed lately than before, best first."""
    return _trending.get(REFRESH_SECONDS)


def best_sellers() -> list[str]:
    """Item ids by the number of sessions that bought them in the last BOUGHT_DAYS, most first."""
    return _best_sellers.get(REFRESH_SECONDS)


def watched() -> list[str]:
    """Item ids by the number of sessions that viewed them in the last WATCHED_MINUTES, most first."""
    return _watched.get(REFRESH_SECONDS)


def of_categories(catalogue: TextCatalogue, categories: Sequence[str]) -> Mapping[str, None]:
    """Ids of the items of these categories that may be shown, newest first, as the keys of a dict."""
    key = (type(catalogue.shop), tuple(sorted({*categories})))
    kept = _categories.get(key)
    if kept is None:
        items = sum(len(each.latest) for each in [*_categories.values()])
        if len(_categories) >= CATEGORIES_KEPT or items > CATEGORY_ITEMS_KEPT:
            _categories.clear()
        kept = _categories.setdefault(key, CachedValue({}, partial(_items_of, catalogue, key[1])))
    return kept.get(REFRESH_SECONDS)


def all_over(catalogue: TextCatalogue) -> list[str]:
    """Ids of items from all over the shop: the newest of each main category, then the second of each."""
    value = _all_over.setdefault(type(catalogue.shop), CachedValue([], partial(_read_all_over, catalogue)))
    return value.get(RANGE_SECONDS)


def forget() -> None:
    """Count anew when next asked."""
    for each in (_trending, _best_sellers, _watched):
        each.forget()
    _categories.clear()
    _all_over.clear()


def risen(views: Iterable[View], now: datetime) -> list[str]:
    """Item ids by decayed views times growth, best first; a session counts once for an item.

    A view's weight halves every HALF_LIFE; where the views span less than four of these, every quarter of
    that, but not below SHORTEST_HALF_LIFE. Growth is this weight against that of as many views spread evenly.
    """
    latest: dict[tuple[str, Any], datetime] = {}
    for item_id, session, at in views:
        latest[item_id, session] = max(at, latest.get((item_id, session), at))
    if not latest:
        return []
    span = max((now - min(latest.values())).total_seconds(), 1.0)
    shortest, longest = SHORTEST_HALF_LIFE.total_seconds(), HALF_LIFE.total_seconds()
    half_life = min(longest, max(shortest, span / 4))
    weight: defaultdict[str, float] = defaultdict(float)
    number = Counter(item_id for item_id, _session in latest)
    for (item_id, _session), at in latest.items():
        weight[item_id] += 0.5 ** ((now - at).total_seconds() / half_life)
    steady = (
        half_life / span / log(2) * (1 - 0.5 ** (span / half_life))
    )  # mean weight of an evenly spread view
    return sorted(
        number,
        key=lambda item_id: (
            -weight[item_id] * (weight[item_id] + DAMPING) / (number[item_id] * steady + DAMPING),
            item_id,
        ),
    )


def _newest(name: EventName, since: datetime) -> list[View]:
    """The newest events of this name since then, without bots and quarantined sessions."""
    newest = (
        Event.objects.filter(name=name, bot=False, occurred_at__gte=since)
        .exclude(session_id__in=Quarantine.objects.filter(released_at=None).values("session_id"))
        .order_by("-event_id")
    )
    return list(newest.values_list("item_id", "session_id", "occurred_at")[:SAMPLE])


def _count_trending() -> list[str]:
    now = timezone.now()
    return risen(_newest(EventName.VIEW_ITEM, now - timedelta(days=TRENDING_DAYS)), now)


def _count_bought() -> list[str]:
    since = timezone.now() - timedelta(days=BOUGHT_DAYS)
    return _in_most_sessions(_newest(EventName.PURCHASE, since))


def _count_watched() -> list[str]:
    since = timezone.now() - timedelta(minutes=WATCHED_MINUTES)
    return _in_most_sessions(_newest(EventName.VIEW_ITEM, since))


def _in_most_sessions(events: Iterable[View]) -> list[str]:
    """A page that is loaded again, and an order that is told twice, count once."""
    once = dict.fromkeys((item_id, session) for item_id, session, _at in events)
    return [item_id for item_id, _sessions in Counter(item_id for item_id, _session in once).most_common()]


def _renewed(count: Callable[[], list[str]], current: list[str]) -> list[str]:
    with isolated("count what goes on in the shop"), bounded(expensive=True):
        return count()[:KEPT]
    return current


def _items_of(
    catalogue: TextCatalogue, categories: Sequence[str], current: Mapping[str, None]
) -> Mapping[str, None]:
    with isolated("read the items of a category"):
        return dict.fromkeys(catalogue.in_category(categories, CATEGORY_ITEMS))
    return current


def _read_all_over(catalogue: TextCatalogue, current: list[str]) -> list[str]:
    with isolated("read items of each category"):
        names = catalogue.main_categories(MAIN_CATEGORIES)
        newest = [catalogue.in_category([name], OF_EACH) for name in names]
        return [item_id for turn in zip_longest(*newest) for item_id in turn if item_id is not None]
    return current


_trending: CachedValue[list[str]] = CachedValue([], partial(_renewed, _count_trending))
_best_sellers: CachedValue[list[str]] = CachedValue([], partial(_renewed, _count_bought))
_watched: CachedValue[list[str]] = CachedValue([], partial(_renewed, _count_watched))
_all_over: dict[type, CachedValue[list[str]]] = {}
_categories: dict[tuple[type, tuple[str, ...]], CachedValue[Mapping[str, None]]] = {}
