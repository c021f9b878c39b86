"""Rules that keep the places of a session's intents, whatever other rules leave out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from django_sessrec.serving.candidate import BY_HAND, Candidate
from django_sessrec.serving.placements import ROWS

if TYPE_CHECKING:
    from django_sessrec.serving.rules import RuleContext


def every_intent(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """An intent that lost its places to what the shop does not offer now gets one in the middle.

    What the shop placed stays where it is, and so do the first of the others and the last of each intent.
    """
    if {each.intent for each in items} <= {""}:
        return items
    most = context.placement.limit
    free = [place for place, each in enumerate(items[:most]) if each.step not in BY_HAND]
    shown = Counter(items[place].intent for place in free)
    for intent in dict.fromkeys(each.intent for each in items[most:] if each.step not in BY_HAND):
        gives_way = next((n for n in free[:0:-1] if shown[items[n].intent] > 1), None)
        if shown[intent] or gives_way is None:
            continue
        others = (n for n, each in enumerate(items) if n >= most and each.step not in BY_HAND)
        comes = next(n for n in others if items[n].intent == intent)
        in_order = [items[place] for place in free if place != gives_way]
        in_order.insert(max(1, sum(place < most // 2 for place in free)), items[comes])
        behind = [items[gives_way], *items[most:comes], *items[comes + 1 :]]
        shown.update({intent: 1, items[gives_way].intent: -1})
        items = [*items[:most], *behind]
        for place, each in zip(free, in_order, strict=True):
            items[place] = each
    return items


def in_rows(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    """Each intent's items together, where the placement shows a row for each.

    What the shop placed stays where it is, in the row of what stands before it.
    """
    if context.placement.intents != ROWS or not any(each.intent for each in items):
        return items
    rows: dict[str, list[Candidate]] = {"": []}
    for each in items:
        if each.step not in BY_HAND:
            rows.setdefault(each.intent, []).append(each)
    ranked = (each for row in rows.values() for each in row)
    together: list[Candidate] = []
    for each in items:
        if each.step not in BY_HAND:
            together.append(next(ranked))
        else:
            row = together[-1].intent if together else ""
            together.append(each if each.intent == row else replace(each, intent=row))
    return together
