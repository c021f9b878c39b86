"""Families of variants as lists need them: which item belongs to which, and what a family has to show."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.recsys.items import ItemIndex

KEPT_SECONDS = 60.0
MAX_KEPT: Final = 200_000  # ids and families in one process


@dataclass(slots=True)
class _Memory:
    """What the catalogue said, for KEPT_SECONDS."""

    until: float
    family: dict[str, str] = field(default_factory=dict)  # by item id; empty for an item without
    variants: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by family; empty where it is none


_memories: dict[type, _Memory] = {}  # by the catalogue's class


class Families:
    """The families of one catalogue; each question is one query, and seldom asked."""

    def __init__(self, catalogue: TextCatalogue) -> None:
        self._catalogue = catalogue
        now = time.monotonic()
        memory = _memories.get(type(catalogue.shop))
        full = memory is not None and len(memory.family) + len(memory.variants) > MAX_KEPT
        if memory is None or full or memory.until < now:
            memory = _memories[type(catalogue.shop)] = _Memory(now + KEPT_SECONDS)
        self._memory = memory

    def of(self, item_ids: Collection[str]) -> dict[str, str]:
        """Id -> family, of the items that have one."""
        known = self._memory.family
        _learn(known, item_ids, self._catalogue.families, "")
        return {item_id: family for item_id in item_ids if (family := known.get(item_id))}

    def variants(self, families: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Family -> its items that may be shown, best first, of the families among these ids."""
        known = self._memory.variants
        _learn(known, families, self._catalogue.variants, ())
        return {family: items for family in families if (items := known.get(family))}


def families_of(catalogue: TextCatalogue) -> Families | None:
    """The catalogue's families; None where the shop has none, which costs a list nothing."""
    return Families(catalogue) if catalogue.has_families else None


def family_of(item_ids: Collection[str]) -> dict[str, str]:
    """Id -> family, of the shop's items that are variants; models know families only."""
    families = families_of(get_catalogue())
    return families.of(set(item_ids)) if families is not None else {}


def heard(index: ItemIndex, session: Sequence[str], family: Mapping[str, str]) -> Sequence[str]:
    """What a model hears of the session: families in place of variants.

    A model that was trained before the shop named families knows variants, and hears them.
    """
    if not family:
        return session
    named = (family.get(item_id, item_id) for item_id in session)
    return [name if name in index else item_id for name, item_id in zip(named, session, strict=True)]


def forget() -> None:
    """Ask the catalogue anew."""
    _memories.clear()


def _learn(
    known: dict[str, Any],
    asked: Collection[str],
    ask: Callable[[Collection[str]], Mapping[str, Any]],
    none: Any,
) -> None:
    if new := {each for each in asked if each not in known}:
        found = ask(new)
        known.update({**dict.fromkeys(new, none), **found})  # at once: other threads read it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
