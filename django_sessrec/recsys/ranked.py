"""The best model: neighbour models and a network propose candidates, and a small network ranks them.

Attention over the candidates (a set transformer, Lee et al. 2019) scores each of them beside the others, and
looks most at those that are most alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from django_sessrec.recsys.candidate_features import FEATURES, CandidateFeatures
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.kernels.candidate_features import Proposals
from django_sessrec.recsys.kernels.features import CANDIDATES
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import Reason, Recommender, gettext_noop

RANKER, POSTINGS, BY_ITEM = "ranker.onnx", "postings", "item_features.npy"
INPUTS = [*FEATURES, "cosines"]


class RankedRecommender(Recommender):
    """The candidates by the ranker's scores; the rest below them, in the network's order.

    An empty session gets popularity.
    """

    kind = "ranked"

    def __init__(
        self,
        network: OnnxRecommender,
        postings: Postings,
        ranker: bytes,
        by_item: FloatArray | None = None,
    ) -> None:
        """postings: over the network's index; ranker: an ONNX file, (1, n, features) and (1, n, n) cosines of
        the network's items -> (1, n) scores. by_item: the features that no session changes, if counted."""
        self.index: ItemIndex = network.index
        self.network = network
        self.postings = postings
        self.ranker = ranker
        self._ranker = open_session(ranker, RANKER)
        popularity = PopularityRecommender(network.index, network.popularity)
        self._features = CandidateFeatures(postings, popularity, network.items, by_item)

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores = np.tile(self.network.popularity, (len(sessions), 1))
        answered = [n for n, session in enumerate(sessions) if len(session)]
        if answered:
            vectors = self.network.vectors([sessions[n] for n in answered])
            scores[answered] = self.network.scores_of(vectors)
            for n, vector in zip(answered, vectors, strict=True):
                network = self.network.proposals_among(vector, scores[n], CANDIDATES)
                rows, ranked = self._rank(sessions[n], network)
                scores[n] -= _lowering(network, ranked)
                scores[n, rows] = ranked
        return scores

    def top(
        self,
        session: Rows,
        k: int,
        *,
        exclude: Sequence[int] = (),
    ) -> tuple[Rows, FloatArray]:
        """As of all scores, but from the network's best alone; more of these where k is above CANDIDATES."""
        if not len(session):
            return self.network.top(session, k, exclude=exclude)
        network = self.network.proposals(session, CANDIDATES)
        rows, scores = self._rank(session, network)
        order, excluded = np.lexsort((rows, -scores)), {*exclude}
        order = order[[row not in excluded for row in rows[order].tolist()]][: max(k, 0)]
        missing = k - len(order)
        if missing <= 0:
            return rows[order], scores[order]
        below, scores_below = self.network.top(session, missing, exclude=[*exclude, *rows.tolist()])
        return (
            np.concatenate((rows[order], below)),
            np.concatenate((scores[order], scores_below - _lowering(network, scores))),
        )

    def _rank(self, session: Rows, network: Proposals) -> tuple[Rows, FloatArray]:
        """(n,) the candidates of a session, and the ranker's scores of them."""
        rows, features = self._features.candidates(session, network)
        vectors = self.network.items[rows]
        inputs = {"features": features[None], "cosines": (vectors @ vectors.T)[None]}
        scores: FloatArray = self._ranker.run(None, inputs)[0][0]
        return rows, scores

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """The reason of the neighbour model that ranks the row highest, else the network's."""
        by_neighbours = self._features.because(session, rows)
        unknown = [row for row, reason in zip(rows, by_neighbours, strict=True) if reason is None]
        by_network = iter(self.network.because(session, unknown))
        return [reason or next(by_network) for reason in by_neighbours]

    def describe(self) -> str:
        return gettext_noop(
            "a neural network that ranks suggestions from earlier visits similar to this one, from products "
            "often viewed together and from the usual order of clicks"
        )

    def save(self, folder: Path) -> Mapping[str, Any]:
        (folder / RANKER).write_bytes(self.ranker)
        (folder / POSTINGS).mkdir()
        self.postings.save(folder / POSTINGS)
        np.save(folder / BY_ITEM, self._features.by_item, allow_pickle=False)
        return {**self.network.save(folder), "inputs": INPUTS}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        if parameters.get("inputs") != INPUTS:
            raise ValueError("its ranker reads other features than this version computes")
        network = OnnxRecommender.load(folder, index, parameters)
        postings = Postings.load(folder / POSTINGS, len(index))
        path = folder / BY_ITEM
        by_item = np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None
        return cls(network, postings, (folder / RANKER).read_bytes(), by_item)


def _lowering(network: Proposals, ranked: FloatArray) -> float:
    """What the network's scores are lowered by, so that none is above the least of the candidates'."""
    return float(network.scores[0] - ranked.min() + 1)
