"""Composition of a list by the session's intents: whoever looks for two things sees both.

A model's list for the whole session leads: it is about what was clicked last, and predicts better than a list
for those clicks alone. An earlier intent that has too few places in it gets more, from the model's list for
its own clicks. `benchmarks/relevance` measures what that costs, and whom it serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from django_sessrec.recsys.intents import Intent, Intents
from django_sessrec.recsys.items import Rows

Item = TypeVar("Item")
Ask = Callable[[Rows], Mapping[int, Item]]

OTHERS = 2  # earlier intents that get places, each for one more query of the model
PART = 0.5  # of its share of the session, which an earlier intent gets of the list; one place of two at least
MOST = 2  # places of a list for an earlier intent, however long the list
LIVE = 0.1  # share of the session below which an intent is over


def live(session: Rows, intents: Intents) -> list[Intent]:
    """The session's live intents, the leading one first: mostly one, none for an empty session."""
    found = intents.split(session)
    return found[:1] + [each for each in found[1:] if each.share >= LIVE][:OTHERS]


def compose(
    leading: Mapping[int, Item], alive: Sequence[Intent], intents: Intents, ask: Ask[Item], limit: int
) -> list[tuple[Item, Intent | None]]:
    """The list, each item with the earlier intent that it serves, None for the leading one's.

    leading: the model's list for the whole session, by row, best first; as long as the composed one
    alive:   two intents or three, as `live` found them
    ask:     the model's list for the clicks of one intent
    limit:   length of the list that is shown: each stretch of this length gives each intent its places
    """
    earlier = alive[1:]
    proposed = [_most_alike_first(ask(each.rows), each, intents) for each in earlier]
    serves = _serves(leading, alive, intents)
    composed: dict[int, tuple[Item, Intent | None]] = {}
    while len(composed) < len(leading):
        rest = [row for row in leading if row not in composed]
        wanted: dict[int, int] = {}  # place in this stretch -> number of the earlier intent
        for number, each in enumerate(earlier):
            there = sum(serves[row] == number + 1 for row in rest[:limit])
            share = min(MOST, max(1, int(PART * each.share * limit)), limit - 1)  # the first place leads
            for place in spread(share - there, limit):
                while place in wanted:
                    place += 1
                wanted[place] = number
        for place in range(min(limit, len(leading) - len(composed))):
            number = wanted.get(place, -1)
            found = None
            if number >= 0:
                found = next((row for row in proposed[number] if row not in composed), None)
            if found is not None:
                composed[found] = (proposed[number][found], earlier[number])
            else:
                row = next(row for row in rest if row not in composed)
                composed[row] = (leading[row], alive[serves[row]] if serves[row] else None)
    return list(composed.values())


def in_rows(
    leading: Mapping[int, Item], alive: Sequence[Intent], intents: Intents, ask: Ask[Item], limit: int
) -> list[tuple[Item, Intent | None]]:
    """As many items of each intent, the leading one's first, `limit` in all; arguments as of `compose`."""
    of_each = limit // len(alive)
    serves = _serves(leading, alive, intents)
    own = [row for row in leading if not serves[row]][: limit - of_each * (len(alive) - 1)]
    rows: dict[int, tuple[Item, Intent | None]] = {row: (leading[row], None) for row in own}
    for intent in alive[1:]:
        proposed = _most_alike_first(ask(intent.rows), intent, intents)
        new = [(row, (item, intent)) for row, item in proposed.items() if row not in rows]
        rows.update(new[:of_each])
    return list(rows.values())


def _most_alike_first(proposed: Mapping[int, Item], intent: Intent, intents: Intents) -> Mapping[int, Item]:
    """A model's list for the clicks of an intent, which may have one place only: of the first two, the one
    that is more like these clicks leads."""
    rows = list(proposed)
    if len(rows) < 2:
        return proposed
    one, other = intents.cosines(np.array(rows[:2], np.int32), intent.rows).mean(axis=1)
    if other > one:
        rows[:2] = rows[1::-1]
    return {row: proposed[row] for row in rows}


def _serves(leading: Mapping[int, Item], alive: Sequence[Intent], intents: Intents) -> dict[int, int]:
    """Number of the intent that each row is most like; 0, the leading one's, where it is like none."""
    rows = np.fromiter(leading, np.int32, len(leading))
    likeness = np.stack([intents.cosines(rows, each.rows).max(axis=1) for each in alive])
    number = np.where(likeness.max(axis=0) >= intents.threshold, likeness.argmax(axis=0), 0)
    return dict(zip(leading, number.tolist(), strict=True))


def spread(number: int, limit: int) -> list[int]:
    """Places of a list for that many items, evenly spread: the middle for one."""
    return [(2 * n + 1) * limit // (2 * number) for n in range(max(0, number))]
