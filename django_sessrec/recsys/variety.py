"""Maximal marginal relevance: the next item of a list is relevant, and unlike those above it.

Carbonell & Goldstein 1998, "The use of MMR, diversity-based reranking for reordering documents and producing
summaries". Relevance is the place in the list as it was ranked, evenly from 1 down to 0: scores of two models
are not comparable.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from django_sessrec.recsys.items import FloatArray


def maximal_marginal_relevance(
    vectors: FloatArray, variety: float, length: int, *, fixed: Collection[int] = ()
) -> list[int]:
    """The order of a list, all of it: the first `length` places chosen one by one, the others as they stand.

    vectors: (n, d) of length 1 of the ranked items, zeros for one that is like none
    variety: 0 leaves the list as it is ranked, 1 looks at unlikeness alone
    fixed:   places whose items stay
    """
    n = len(vectors)
    relevance = np.linspace(1, 0, n, dtype=np.float32)
    cosines = vectors @ vectors.T
    free = np.ones(n, np.bool_)
    free[list(fixed)] = False
    likeness = np.zeros(n, np.float32)  # to the most alike of those above
    order: list[int] = []
    for place in range(min(length, n)):
        chosen = place
        if place not in fixed:
            value = (1 - variety) * relevance - variety * likeness
            chosen = int(np.where(free, value, -np.inf).argmax())
        order.append(chosen)
        free[chosen] = False
        likeness = np.maximum(likeness, cosines[chosen])
    there = {*order}
    return [*order, *(number for number in range(n) if number not in there)]
