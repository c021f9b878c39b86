"""Content features of items: hashed n-grams of the title, categories, brand and price, weighted by tf-idf.

The hashing trick (Weinberger et al. 2009) gives every text a column without a vocabulary, so that a word
that no item had before, or an attribute of 10,000 values, changes no shape. The title, the attributes and
the price each make a block of length 1: a long title does not outvote the category.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite, log1p
from typing import NamedTuple, TypeGuard
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from django_sessrec.recsys.items import FloatArray

COLUMNS = 1 << 14
"""Of the hashed features: few texts of a shop's titles and attributes share one."""
LETTERS = 4  # of the n-grams inside a word: they find the tent in "tents" and in "Kuppelzelt"
MAX_WORDS = 40  # of a title
MAX_VALUES = 20  # of an attribute of one item; of more, the first in order of the alphabet
PRICE_STEPS = 12
WORD = re.compile(r"\w+")
LEVELS = re.compile(r"\s*[>/|»]\s*")  # between the levels of a category that is written as a path


@dataclass(frozen=True, slots=True)
class Content:
    """What the catalogue says of an item; all of it may be missing.

    texts:  by attribute, "category" and "brand" among them; a category may be a path, "Home > Kitchen"
    vector: the shop's own, in place of all the rest
    """

    title: str = ""
    texts: Mapping[str, Iterable[str]] = field(default_factory=dict)
    price: float | None = None
    vector: Sequence[float] | None = None


class Sparse(NamedTuple):
    """A sparse matrix by rows: row n has `values[starts[n]:starts[n + 1]]` in `columns`. No row is empty."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: FloatArray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: NDArray[np.int64]) -> Sparse:
        """These of its rows."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        chosen = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Sparse(starts, self.columns[chosen], self.values[chosen])

    def dot(self, dense: FloatArray) -> FloatArray:
        """(n, columns) x (columns, d) -> (n, d), a block of rows at a time to stay small."""
        found = np.empty((len(self), dense.shape[1]), np.float32)
        for first in range(0, len(self), BLOCK):
            stop = min(first + BLOCK, len(self))
            begin, end = self.starts[first], self.starts[stop]
            products = dense[self.columns[begin:end]] * self.values[begin:end, None]
            found[first:stop] = np.add.reduceat(products, self.starts[first:stop] - begin, axis=0)
        return found

    def transposed_dot(self, dense: FloatArray) -> FloatArray:
        """(columns, n) x (n, d) -> (columns, d)."""
        order = np.argsort(self.columns, kind="stable")
        row = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))[order]
        present, first = np.unique(self.columns[order], return_index=True)
        by_column = Sparse(np.append(first, len(order)).astype(np.int64), row, self.values[order])
        found = np.zeros((COLUMNS, dense.shape[1]), np.float32)
        found[present] = by_column.dot(dense)
        return found


BLOCK = 2_000  # rows of a product that are held at once


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What the features of one item need to know of all the others.

    idf:   (COLUMNS,) weight of each column: what few items have tells more
    edges: (at most PRICE_STEPS,) ascending logarithms of prices, between which an item's price is placed
    """

    idf: FloatArray
    edges: FloatArray

    @classmethod
    def of(cls, contents: Sequence[Content]) -> Vocabulary:
        prices = [log1p(each.price) for each in contents if _is_price(each.price)]
        edges = np.unique(np.quantile(prices, np.linspace(0, 1, PRICE_STEPS))) if prices else np.zeros(0)
        plain = cls(np.ones(COLUMNS, np.float32), edges.astype(np.float32))
        having = np.bincount(plain.features(contents).columns, minlength=COLUMNS)
        return cls((np.log((1 + len(contents)) / (1 + having)) + 1).astype(np.float32), plain.edges)

    def features(self, contents: Sequence[Content]) -> Sparse:
        """One row for each item; an item without any content has the constant column alone."""
        starts, columns, values = [0], list[int](), list[float]()
        for each in contents:
            for column, value in self._of(each).items():
                columns.append(column)
                values.append(value)
            starts.append(len(columns))
        return Sparse(np.array(starts), np.array(columns, np.int32), np.array(values, np.float32))

    def _of(self, content: Content) -> dict[int, float]:
        found = {_column("any"): 1.0}
        for block in (_of_title(content.title), _of_texts(content.texts), self._of_price(content)):
            weighted: dict[int, float] = {}
            for text, weight in block:
                column = _column(text)
                weighted[column] = weighted.get(column, 0.0) + weight * float(self.idf[column])
            length = sum(value * value for value in weighted.values()) ** 0.5
            for column, value in weighted.items():
                found[column] = found.get(column, 0.0) + value / length
        return found

    def _of_price(self, content: Content) -> Iterator[tuple[str, float]]:
        """The two steps that the price lies between, for the shop and for each category of the item."""
        if not _is_price(content.price) or not len(self.edges):
            return
        place = float(np.interp(log1p(content.price), self.edges, np.arange(len(self.edges))))
        below = int(place)
        categories = [text for text, _ in _of_texts({"category": content.texts.get("category", ())})]
        for step, share in ((below, 1 - (place - below)), (below + 1, place - below)):
            if share > 0:
                for where in ("", *categories):
                    yield f"price {step} {where}", share


def _is_price(price: float | None) -> TypeGuard[float]:
    return price is not None and isfinite(price) and price >= 0


def _column(text: str) -> int:
    return crc32(text.encode("utf-8", "surrogatepass")) % COLUMNS


def _of_title(title: str) -> Iterator[tuple[str, float]]:
    """Words, pairs of words, and n-grams inside words."""
    words = WORD.findall(_plain(title))[:MAX_WORDS]
    for word in words:
        yield f"word {word}", 1.0
        padded = f" {word[: LETTERS * 8]} "
        if len(padded) > LETTERS:
            for first in range(len(padded) - LETTERS + 1):
                yield f"letters {padded[first : first + LETTERS]}", 0.5
    for one, other in pairwise(words):
        yield f"words {one} {other}", 0.5


def _of_texts(texts: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, float]]:
    """Each value of each attribute; of a path every level."""
    for name, given in texts.items():
        for value in sorted(given)[:MAX_VALUES]:
            levels = LEVELS.split(_plain(value)) if name == "category" else [_plain(value)]
            for level in range(1, len(levels) + 1):
                yield f"{name} {' > '.join(levels[:level])}", 1.0


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
