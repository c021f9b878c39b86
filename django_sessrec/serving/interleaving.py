"""Team-draft interleaving: two lists as one, and whose each item is.

Radlinski, Kurup and Joachims, CIKM 2008. The two teams draft in rounds, each the best item that it has left;
a coin says who begins a round. The coins of a session are a hash, as its variant is, so no row has to
remember them: the place among the drafted items tells the team, in Python as in SQL (measuring.arms).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from django_sessrec.serving.candidate import BY_HAND, Candidate

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
    drafted: dict[Item, None] = {}
    left = [iter(each) for each in lists]
    for team in order:
        best = next((item for item in left[team] if item not in drafted), None)
        if best is None:
            break
        drafted[best] = None
    return list(drafted)


def interleaved(lists: Sequence[Sequence[Candidate]], order: Sequence[int]) -> list[Candidate]:
    """One list of both: what the shop put into the first by hand keeps its place, the rest is drafted."""
    places = range(len(order))
    by_hand = {place: each for place, each in zip(places, lists[0], strict=False) if each.step in BY_HAND}
    fixed = {each.item_id for each in by_hand.values()}
    ranked = [
        {each.item_id: each for each in found if each.step not in BY_HAND and each.item_id not in fixed}
        for found in lists
    ]
    order = order[: len(order) - len(by_hand)]
    drafted = team_draft([list(each) for each in ranked], order)
    rest = (ranked[team][item_id] for team, item_id in zip(order, drafted, strict=False))
    return [found for place in places if (found := by_hand.get(place) or next(rest, None)) is not None]
