"""The best model: neighbour models and a network propose candidates, and a small network ranks them.

Attention over the candidates (a set transformer, Lee et al. 2019) scores each of them beside the others, and
looks most at those that are most alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from django_sessrec.recsys.candidate_features import FEATURES, CandidateFeatures
from django_sessrec.recsys.items import FloatArray, ItemIndex, Rows
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import Reason, Recommender, gettext_noop

RANKER, POSTINGS = "ranker.onnx", "postings"
INPUTS = [*FEATURES, "cosines"]


class RankedRecommender(Recommender):
    """The candidates by the ranker's scores; the rest below them, in the network's order.

    An empty session gets popularity.
    """

    kind = "ranked"

    def __init__(self, network: OnnxRecommender, postings: Postings, ranker: bytes) -> None:
        """postings: over the network's index; ranker: an ONNX file, (1, n, features) and (1, n, n) cosines of
        the network's items -> (1, n) scores."""
        self.index: ItemIndex = network.index
        self.network = network
        self.postings = postings
        self.ranker = ranker
        self._ranker = open_session(ranker, RANKER)
        popularity = PopularityRecommender(network.index, network.popularity)
        self._features = CandidateFeatures(postings, popularity, network.items)

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores = self.network.scores(sessions)
        for row_of_scores, session in zip(scores, sessions, strict=True):
            if len(session):
                rows, features = self._features.candidates(session, row_of_scores)
                ranked = self._rank(rows, features)
                row_of_scores -= row_of_scores.max() - ranked.min() + 1
                row_of_scores[rows] = ranked
        return scores

    def _rank(self, rows: Rows, features: FloatArray) -> FloatArray:
        """(n,) the ranker's scores of a session's candidates."""
        vectors = self.network.items[rows]
        inputs = {"features": features[None], "cosines": (vectors @ vectors.T)[None]}
        scores: FloatArray = self._ranker.run(None, inputs)[0][0]
        return scores

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
        return {**self.network.save_for_scores(folder), "inputs": INPUTS}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        if parameters.get("inputs") != INPUTS:
            raise ValueError("its ranker reads other features than this version computes; train it again")
        network = OnnxRecommender.load(folder, index, parameters)
        postings = Postings.load(folder / POSTINGS, len(index))
        return cls(network, postings, (folder / RANKER).read_bytes())
