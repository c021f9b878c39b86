"""What a training run learns for products that come after it: item embeddings from their content."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.recsys.cold_start import MOST_ITEMS, ColdStart
from django_sessrec.recsys.content import Content
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.safety import isolated
from django_sessrec.serving.item_content import contents_of

ASKED_AT_ONCE = 1_000  # objects of the shop in memory


def learn_cold_start(index: ItemIndex, intents: Intents, sessions: SessionLog) -> ColdStart | None:
    """The mapping of the model over `index`; None where there is too little to learn from.

    intents: over the same index. sessions: what the model was fitted on, over its own.
    A catalogue that fails is logged: a model is better without a cold start than not published.
    """
    sessions = sessions if sessions.index == index else sessions.reindexed(index)
    with isolated("learn from the content of the products"):
        clicks = np.bincount(sessions.items, minlength=len(index))
        best = np.argsort(-clicks, kind="stable")[:MOST_ITEMS]
        contents = dict(_contents(get_catalogue(), index, best[clicks[best] > 0].tolist()))
        return ColdStart.of(contents, intents, sessions)
    return None


def _contents(catalogue: TextCatalogue, index: ItemIndex, rows: list[int]) -> Iterator[tuple[int, Content]]:
    """Row and content of the items that the catalogue knows; a family's is that of its best variant."""
    for first in range(0, len(rows), ASKED_AT_ONCE):
        row_of = {index.ids[row]: row for row in rows[first : first + ASKED_AT_ONCE]}
        if catalogue.has_families:
            best = {items[0]: family for family, items in catalogue.variants(row_of.keys()).items() if items}
            row_of = {
                **{item_id: row for item_id, row in row_of.items() if item_id not in best.values()},
                **{item_id: row_of[family] for item_id, family in best.items()},
            }
        for item_id, content in contents_of(catalogue, catalogue.known(row_of.keys())).items():
            yield row_of[item_id], content
