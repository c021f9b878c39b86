"""What variety costs: `VARIETY` and `ROTATE_AFTER` on clicks on items new to their session.

`variety`: HR@8, HR@20 and MRR@20 of lists without the session's items, as ranked and re-ranked by maximal
marginal relevance with each dial, among four times as many candidates; how alike the items of a list of 8 are
(mean cosine of its pairs); and what re-ranking costs a list of 8, in microseconds of processor time.

`rotation`: HR@8 and MRR@8 of the same clicks after five clicks or more, where items that stood in so many of
the session's earlier lists of 8 go to the end; and how many lists that changes.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.recsys.variety import maximal_marginal_relevance

DIALS = (0.05, 0.1, 0.2, 0.3, 0.5)
AFTER = (2, 3, 4)
SHOWN, K, WINDOW = 8, 20, 4


def variety(recommender: Recommender, intents: Intents, cases: Cases) -> dict[str, Any]:
    """Figures by dial, 0 the list as it is ranked; percent, but for likeness and microseconds."""
    found: defaultdict[float, Counter[str]] = defaultdict(Counter)
    new = np.flatnonzero(cases.new)
    for case in new:
        prefix, label = cases.prefix(case), int(cases.labels[case])
        rows = recommender.top(prefix, WINDOW * K, exclude=np.unique(prefix).tolist())[0]
        vectors = intents.vectors[rows].astype(np.float32)
        for dial in (0.0, *DIALS):
            for length, sums in ((SHOWN, ("hr@8",)), (K, ("hr@20", "mrr@20"))):
                window = WINDOW * length
                began = time.thread_time()
                order = maximal_marginal_relevance(vectors[:window], dial, length)[:length]
                spent = time.thread_time() - began
                ranked = rows[order].tolist()
                if label in ranked:
                    found[dial][sums[0]] += 1
                    if length == K:
                        found[dial]["mrr@20"] += 1 / (ranked.index(label) + 1)
                if length == SHOWN:
                    found[dial]["microseconds"] += 1e4 * spent
                    found[dial]["likeness"] += _likeness(vectors[order]) / 100
    return {
        str(dial): {name: 100 * total / len(new) for name, total in sums.items()}
        for dial, sums in found.items()
    }


def rotation(recommender: Recommender, cases: Cases) -> Mapping[str, Any]:
    """HR@8 and MRR@8 in percent by the number of lists after which an item goes to the end; 0 is never."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    new = [case for case in np.flatnonzero(cases.new) if len(cases.prefix(case)) > max(AFTER)]
    changed: Counter[int] = Counter()
    for case in new:
        prefix, label = cases.prefix(case), int(cases.labels[case])
        shown = Counter(
            row for stop in range(1, len(prefix)) for row in _list(recommender, prefix[:stop], SHOWN)
        )
        ranked = _list(recommender, prefix, WINDOW * SHOWN)
        for after in (0, *AFTER):
            tired = [row for row in ranked if after and shown[row] >= after]
            rows = [*(row for row in ranked if row not in tired), *tired][:SHOWN]
            changed[after] += rows != ranked[:SHOWN]
            if label in rows:
                found[after]["hr@8"] += 1
                found[after]["mrr@8"] += 1 / (rows.index(label) + 1)
    figures = {
        str(after): {name: 100 * total / len(new) for name, total in sums.items()}
        | {"lists_changed": 100 * changed[after] / len(new)}
        for after, sums in found.items()
    }
    return {"cases": len(new), **figures}


def _list(recommender: Recommender, session: Rows, length: int) -> list[int]:
    rows: list[int] = recommender.top(session, length, exclude=np.unique(session).tolist())[0].tolist()
    return rows


def _likeness(vectors: Any) -> float:
    n = len(vectors)
    return float((vectors @ vectors.T).sum() - np.square(vectors).sum()) / max(1, n * (n - 1))
