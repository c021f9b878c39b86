"""The champion: neighbours and a net propose, and a small net ranks what they propose by the evidence.

Attention over the candidates (a set transformer, Lee et al. 2019) lets each be judged among its rivals, the
more alike the more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from django_sessrec.recsys.candidate_features import FEATURES, Evidence
from django_sessrec.recsys.items import ItemIndex, Rows
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.onnx_session import open_net
from django_sessrec.recsys.popularity import PopularityRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.recommender import FloatArray, Reason, Recommender

RANKER, POSTINGS = "ranker.onnx", "postings"
READS = [*FEATURES, "cosines"]


class RankedRecommender(Recommender):
    """The candidates by the ranker's scores; the rest below them, in the net's order.

    An empty session gets popularity.
    """

    kind = "ranked"

    def __init__(self, net: OnnxRecommender, postings: Postings, ranker: bytes) -> None:
        """postings: of the net's own index; ranker: an ONNX file, (1, n, features) and (1, n, n) cosines of
        the net's items -> (1, n) scores."""
        self.index: ItemIndex = net.index
        self.net = net
        self.postings = postings
        self.ranker = ranker
        self._ranker = open_net(ranker, RANKER)
        self._evidence = Evidence(postings, PopularityRecommender(net.index, net.popularity), net.items)

    def scores(self, sessions: Sequence[Rows]) -> FloatArray:
        scores = self.net.scores(sessions)
        for row_of_scores, session in zip(scores, sessions, strict=True):
            if len(session):
                rows, features = self._evidence.candidates(session, row_of_scores)
                ranked = self._rank(rows, features)
                row_of_scores -= row_of_scores.max() - ranked.min() + 1
                row_of_scores[rows] = ranked
        return scores

    def _rank(self, rows: Rows, features: FloatArray) -> FloatArray:
        """(n,) the ranker's scores of a session's candidates."""
        vectors = self.net.items[rows]
        inputs = {"features": features[None], "cosines": (vectors @ vectors.T)[None]}
        scores: FloatArray = self._ranker.run(None, inputs)[0][0]
        return scores

    def because(self, session: Rows, rows: Sequence[int]) -> list[Reason]:
        """What the neighbours say that had the row highest; where none would have shown it, the net."""
        remembered = self._evidence.because(session, rows)
        unknown = [row for row, reason in zip(rows, remembered, strict=True) if reason is None]
        by_net = iter(self.net.because(session, unknown))
        return [reason or next(by_net) for reason in remembered]

    def save(self, folder: Path) -> Mapping[str, Any]:
        (folder / RANKER).write_bytes(self.ranker)
        (folder / POSTINGS).mkdir()
        self.postings.save(folder / POSTINGS)
        return {**self.net.save_for_scores(folder), "reads": READS}

    @classmethod
    def load(cls, folder: Path, index: ItemIndex, parameters: Mapping[str, Any]) -> Self:
        if parameters.get("reads") != READS:
            raise ValueError("its ranker reads other features than this version gives it; train anew")
        net = OnnxRecommender.load(folder, index, parameters)
        postings = Postings.load(folder / POSTINGS, len(index))
        return cls(net, postings, (folder / RANKER).read_bytes())
