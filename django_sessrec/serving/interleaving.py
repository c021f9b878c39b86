"""Team-draft interleaving: two lists as one, and whose each item is.

Radlinski, Kurup and Joachims, CIKM 2008. The two teams draft in rounds, each the best item that it has left;
a coin says who begins a round. The coins of a session are a hash, as its variant is, so no row has to
remember them: the place among the drafted items tells the team, in Python as in SQL (measuring.arms).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django_sessrec.serving.candidate import BY_HAND, Candidate
from django_sessrec.serving.place_checks import Check

Item = TypeVar("Item", bound=Hashable)


def teams(experiment: str, session_id: UUID, places: int) -> list[int]:
    """The team, 0 or 1, of each of up to 512 drafted items of the session's lists in this experiment.

    sha256, which Postgres has too; bits are numbered as its get_bit() does.
    """
    digest = sha256(b"teams" + experiment.encode() + session_id.bytes).digest()
    coins = int.from_bytes(digest, "little")
    return [(coins >> (place // 2) & 1) ^ place % 2 for place in range(places)]


def team_draft(lists: Sequence[Sequence[Item]], order: Sequence[int]) -> list[Item]:
    """The items in the order in which the teams draft them; shorter than `order` where one has none left."""
    return list(drafting(lists, order, lambda _item: True, lambda _team, _item: True))


def drafting(
    lists: Sequence[Sequence[Item]],
    order: Sequence[int],
    fits: Callable[[Item], bool],
    wants: Callable[[int, Item], bool],
) -> Iterator[Item]:
    """The items as they are drafted: each team's best that fits, of those that it wants while it has any.

    Both are asked at each team's turn, and no item is drafted twice.
    """
    left = [dict.fromkeys(each) for each in lists]
    for team in order:
        item = _best(left[team], fits, partial(wants, team))
        if item is None:
            return
        for each in left:
            each.pop(item, None)
        yield item


def _best(items: Iterable[Item], fits: Callable[[Item], bool], wanted: Callable[[Item], bool]) -> Item | None:
    """The first that fits and is wanted, else the first that fits; no more are asked for than it takes."""
    first = None
    for item in items:
        if (first is None or wanted(item)) and fits(item):
            if wanted(item):
                return item
            first = item
    return first


def by_hand_of(items: Sequence[Candidate], places: int) -> dict[int, Candidate]:
    """What the shop put into the list by hand, by its place from 0, as far as the list reaches."""
    return {place: each for place, each in enumerate(items[:places]) if each.step in BY_HAND}


def interleaved(
    lists: Sequence[Sequence[Candidate]], order: Sequence[int], checks: Sequence[Check] = ()
) -> list[Candidate]:
    """One list of both: what the shop put into the first by hand keeps its place, the rest is drafted.

    Where a team's own list has an earlier intent's item, it drafts its best of that intent: the list serves
    the intents that those of both teams serve.

    checks: the limits that both lists keep, and the one that is made of them must keep, too
    """
    by_hand = by_hand_of(lists[0], len(order))
    fixed = {each.item_id for each in by_hand.values()}
    ranked = [
        {each.item_id: each for each in found if each.step not in BY_HAND and each.item_id not in fixed}
        for found in lists
    ]

    def fits(item_id: str) -> bool:
        candidate = ranked[0].get(item_id) or ranked[1][item_id]
        return all(check.lets(candidate) for check in checks)

    merged: list[Candidate] = []

    def wants(team: int, item_id: str) -> bool:
        own = lists[team][len(merged)] if len(merged) < len(lists[team]) else None
        return own is None or not own.intent or ranked[team][item_id].intent == own.intent

    drafted = zip(order, drafting([list(each) for each in ranked], order, fits, wants), strict=False)
    missing = len(order) - len(by_hand)
    rest = (ranked[team][item_id] for team, item_id in islice(drafted, missing))
    for place in range(len(order)):
        chosen = by_hand.get(place) or next(rest, None)
        if chosen is not None:
            merged.append(chosen)
            for check in checks:
                check.count(chosen)
    return merged
