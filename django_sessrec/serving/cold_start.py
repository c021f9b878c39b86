"""New products in lists: those that a model has not learnt, by what the catalogue says of them.

Each web process maps a product once, when the catalogue first names it among the newest or a visitor looks at
it, so a product may be shown on the first page after it exists.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import numpy as np

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.recsys.cold_start import ColdStart, session_weights
from django_sessrec.recsys.intents import DIMENSIONS, Intents
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.safety import isolated
from django_sessrec.serving.active_models import ActiveModel
from django_sessrec.serving.families import families_of
from django_sessrec.serving.item_content import contents_of

REFRESH_SECONDS: Final = 1.0  # between two looks at what is new: one small query each
NEWEST: Final = 100  # products that the catalogue is asked for
AT_ONCE: Final = 25  # products mapped for one list, about 0.1 ms each; the others wait for the next
MAX_KEPT: Final = 5_000  # products that one process remembers
FEW_CLICKS: Final = 10  # below which the model has hardly learnt a product
HEARD: Final = 8  # newest items of the session that are compared
CANDIDATES: Final = 5_000  # most clicked items, of which one may stand for a new product


class Similar(NamedTuple):
    """A product, the clicked one that it is most like, and their likeness, at most 1."""

    item_id: str
    because: str
    score: float


@dataclass(slots=True)
class _Memory:
    """What this process knows of one model's new products."""

    run_id: int
    vectors: dict[str, FloatArray] = field(default_factory=dict)  # by id
    nothing: set[str] = field(default_factory=set)  # ids of which nothing is known, until the next look
    stands_for: dict[str, str] = field(default_factory=dict)  # by id of a new product; empty: none is like it
    newest: tuple[str, ...] = ()
    matrix: FloatArray = field(default_factory=lambda: np.zeros((0, DIMENSIONS), np.float32))
    until: float = 0.0
    best: tuple[Rows, FloatArray] | None = None  # most clicked items


_memories: dict[tuple[type, str], _Memory] = {}  # by the catalogue's class and the model


class NewProducts:
    """The products that one model has not learnt, or hardly."""

    def __init__(self, model: ActiveModel, cold_start: ColdStart, intents: Intents, catalogue: TextCatalogue):
        self._index: ItemIndex = model.recommender.index
        self._cold_start, self._intents, self._catalogue = cold_start, intents, catalogue
        key = (type(catalogue.shop), model.model)
        memory = _memories.get(key)
        if memory is None or memory.run_id != model.run_id or len(memory.vectors) > MAX_KEPT:
            memory = _memories[key] = _Memory(model.run_id)
        self._memory = memory

    def like(self, session: Sequence[str], hidden: Collection[str], limit: int) -> list[Similar]:
        """Those that are as much like the session as what is likely to be clicked next, best first."""
        self._look()
        heard = list(dict.fromkeys(reversed(session)))[:HEARD][::-1]
        if not heard or not self._memory.newest:
            return []
        likeness = self.vectors(heard) @ self._memory.matrix.T * session_weights(len(heard))[:, None]
        score, because = likeness.sum(axis=0), likeness.argmax(axis=0)
        left_out = {*hidden, *session}
        found: list[Similar] = []
        for number in np.argsort(-score, kind="stable").tolist():
            if score[number] < self._cold_start.alike or len(found) == limit:
                break
            if (item_id := self._memory.newest[number]) not in left_out:
                found.append(Similar(item_id, heard[because[number]], float(score[number])))
        return found

    def known_like(self, item_ids: Collection[str]) -> dict[str, str]:
        """By id of each product that the model does not know, the one that it knows and is most like it."""
        unknown = [item_id for item_id in item_ids if item_id and item_id not in self._index]
        known = self._memory.stands_for
        self._map(unknown)
        for item_id in unknown:
            if item_id not in known and item_id in self._memory.vectors:
                known[item_id] = self._nearest(self._memory.vectors[item_id])
        return {item_id: stands for item_id in unknown if (stands := known.get(item_id))}

    def _nearest(self, vector: FloatArray) -> str:
        if self._memory.best is None:
            clicks = self._cold_start.clicks
            rows = np.argsort(-clicks, kind="stable")[:CANDIDATES].astype(np.int32)
            rows = rows[clicks[rows] > 0]
            self._memory.best = rows, self._intents.vectors[rows].astype(np.float32)
        rows, vectors = self._memory.best
        likeness = vectors @ vector
        if not len(rows) or likeness.max() < self._cold_start.alike:
            return ""
        return self._index.ids[int(rows[likeness.argmax()])]

    def _look(self) -> None:
        """Ask the catalogue what is new, if it was not asked within REFRESH_SECONDS."""
        memory, now = self._memory, time.monotonic()
        if now < memory.until:
            return
        memory.until = now + REFRESH_SECONDS
        memory.nothing.clear()  # who asked for a product before it existed keeps nobody from it
        with isolated("read the newest products"):
            named = self._catalogue.newest(NEWEST)
            families = families_of(self._catalogue)
            family = families.of(named) if families is not None else {}
            clicks = self._cold_start.clicks
            rows = [self._row(family.get(item_id, item_id)) for item_id in named]
            new = [item_id for item_id, row in zip(named, rows, strict=True) if clicks[row] < FEW_CLICKS]
            self._map(new)
            mapped = tuple(item_id for item_id in new if item_id in memory.vectors)
            if mapped != memory.newest:
                memory.matrix = self.vectors(mapped)
                memory.newest = mapped

    def _map(self, item_ids: Sequence[str]) -> None:
        """Map those that have not been, AT_ONCE at most."""
        memory = self._memory
        new = (each for each in item_ids if each not in memory.vectors and each not in memory.nothing)
        if not (unknown := [*islice(new, AT_ONCE)]):
            return
        contents = {}
        with isolated("map the content of new products"):
            contents = contents_of(self._catalogue, self._catalogue.known(unknown))
            rows = np.array([self._row(item_id) for item_id in contents], np.int32)
            mapped = self._cold_start.map(list(contents.values()))
            vectors = self._cold_start.embeddings(mapped, rows, self._intents)
            memory.vectors.update(zip(contents, vectors, strict=True))
        memory.nothing.update(each for each in unknown if each not in memory.vectors)

    def vectors(self, item_ids: Sequence[str]) -> FloatArray:
        """(n, DIMENSIONS): those of the model, mapped ones where it has none."""
        new = [each for each in item_ids if each not in self._memory.vectors and each not in self._index]
        self._map(new)
        found = np.zeros((len(item_ids), DIMENSIONS), np.float32)
        for number, item_id in enumerate(item_ids):
            mapped = self._memory.vectors.get(item_id)
            found[number] = self._intents.vectors[self._row(item_id)] if mapped is None else mapped
        return found

    def _row(self, item_id: str) -> int:
        """0 for one that the model does not know."""
        return self._index.row(item_id) if item_id in self._index else 0


def new_products(model: ActiveModel | None, catalogue: TextCatalogue) -> NewProducts | None:
    """None where the model has learnt nothing from the content of products."""
    if model is None or model.cold_start is None or model.intents is None:
        return None
    return NewProducts(model, model.cold_start, model.intents, catalogue)


def forget() -> None:
    """Map every product anew."""
    _memories.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
