"""Team-draft interleaving: two lists as one, and whose each place is.

Radlinski, Kurup and Joachims, CIKM 2008. The two teams draft in rounds, each the best item that it has left;
a coin says who begins a round. The coins of a session are a hash, as its variant is, so no row has to
remember them: the place in the list tells the team.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import TypeVar
from uuid import UUID

Item = TypeVar("Item", bound=Hashable)


def teams(experiment: str, session_id: UUID, places: int) -> list[int]:
    """The team of each place of the session's lists in this experiment."""
    digest = blake2b(b"teams" + experiment.encode() + session_id.bytes, digest_size=16).digest()
    coins = int.from_bytes(digest)
    return [coins >> (place // 2) & 1 ^ place % 2 for place in range(places)]


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
