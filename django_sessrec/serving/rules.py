"""The shop's word over the models': what is pinned, hidden, sold out, sensitive or too much of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from django.http import HttpRequest

from django_sessrec.catalogue import Catalogue
from django_sessrec.serving.fallback import BY_HAND, PINNED, SPONSORED, Candidate

SPARE = 2  # times the slot that is looked up at once: sold-out items are replaced without a second query
SPARE_AGAIN = 10  # times the slot that is looked up once more where that was not enough


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that may be shown, with what the shop says of it.

    because: the catalogue's items that spoke for it and may be shown themselves, strongest first
    """

    candidate: Candidate
    item: Any
    because: tuple[Any, ...]


def choose(
    candidates: Iterable[Candidate],
    limit: int,
    *,
    placement: Mapping[str, Any],
    hidden: Collection[str],
    catalogue: Catalogue,
    request: HttpRequest | None,
) -> list[Chosen]:
    """The first `limit` candidates that the placement's rules and the live catalogue let through.

    PINNED go first, then SPONSORED, which is what an item in both is called. Never shown: `hidden` items,
    EXCLUDED, what the catalogue leaves out (sold out, deleted), sensitive items, and more than
    MAX_PER_CATEGORY of one category; what the shop put first counts there but is not dropped.
    """
    first = _by_hand(placement)
    remaining = _once_each(chain(first, candidates), {*hidden, *map(str, placement["EXCLUDED"])})
    cap = placement["MAX_PER_CATEGORY"]
    chosen: list[Chosen] = []
    per_category: Counter[str] = Counter()
    for size in (limit * SPARE, limit * SPARE_AGAIN):
        for each in _resolved(list(islice(remaining, size)), catalogue, request):
            if cap is not None:
                category = catalogue.category(each.item)
                if category is not None:
                    if per_category[category] >= cap and each.candidate.step not in BY_HAND:
                        continue
                    per_category[category] += 1
            chosen.append(each)
            if len(chosen) == limit:
                return chosen
    return chosen


def _by_hand(placement: Mapping[str, Any]) -> Iterator[Candidate]:
    """What the shop puts first: whatever is paid for says so, wherever it stands."""
    paid = [str(item_id) for item_id in placement["SPONSORED"]]
    for item_id in (*map(str, placement["PINNED"]), *paid):
        step = SPONSORED if item_id in paid else PINNED
        yield Candidate(item_id, step, step)


def _once_each(candidates: Iterable[Candidate], hidden: set[str]) -> Iterator[Candidate]:
    for candidate in candidates:
        if candidate.item_id not in hidden:
            hidden.add(candidate.item_id)
            yield candidate


def _resolved(batch: list[Candidate], catalogue: Catalogue, request: HttpRequest | None) -> Iterator[Chosen]:
    """Those of the batch that the live catalogue shows: one query, and one more where goods are sensitive."""
    if not batch:
        return
    wanted = {item_id for each in batch for item_id in (each.item_id, *each.because)}
    items = catalogue.resolve(wanted, request)
    sensitive = catalogue.sensitive(wanted)
    shown = {item_id: item for item_id, item in items.items() if item_id not in sensitive}
    for each in batch:
        if each.item_id in shown:
            because = tuple(shown[item_id] for item_id in each.because if item_id in shown)
            yield Chosen(each, shown[each.item_id], because)
