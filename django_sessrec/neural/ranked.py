"""The champion's estimator: sources and a ranker, each trained on what it may know.

The ranker learns from blocks of later sessions: for each block the net and the evidence are made of the
sessions before it alone, as they will be when they serve. Then both are made anew of all sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from django_sessrec.neural.estimator import require_enough
from django_sessrec.neural.export import export_ranker
from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.ranker import Block, train_ranker
from django_sessrec.neural.training import training_threads
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.evidence import FEATURES, Evidence
from django_sessrec.recsys.exported import ExportedNet
from django_sessrec.recsys.kernels.evidence import CANDIDATES
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.recommender import FloatArray, NotEnoughData, Progress
from django_sessrec.recsys.sessions import SessionLog

FEWEST_LISTS = 100
SCORES_AT_ONCE = 2**24  # of the net, in one batch: 64 MB

LISTS, RANKER = 0.15, 0.6  # what a block's lists and the ranker cost, where a net costs 1


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Candidates of neighbours and a net, ranked by the evidence.

    net: options of GRU4Rec, such as {"embedding_size": 64}.
    blocks, block_fraction: the ranker is trained on so many runs of sessions, each this share of all,
        the last ones.
    max_lists: at most so many clicks of a block are trained on; 10,000 take 100 MB.
    epochs: of the ranker.
    """

    net: Mapping[str, Any] = field(default_factory=dict)
    blocks: int = 3
    block_fraction: float = 0.07
    max_lists: int = 50_000
    epochs: int = 3
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.blocks < 1 or not 0 < self.blocks * self.block_fraction <= 0.5:
            raise ValueError(
                f"{self.blocks} blocks of {self.block_fraction} are not between 0 and half of the sessions"
            )
        GRU4Rec(**self.net)

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
    ) -> RankedRecommender:
        """Train net and lists of each block, the ranker, and the net that serves.

        validation is not looked at: the last blocks play its part. Raises NotEnoughData,
        TrainingDiverged, ExportMismatch.
        """
        require_enough(sessions)
        require_lists(Cases.from_log(sessions.split_last(self.blocks * self.block_fraction)[1]))
        stages = Stages(progress, [1.0, LISTS] * self.blocks + [RANKER, 1.0])
        estimator = GRU4Rec(**{"seed": self.seed, "threads": self.threads, **self.net})
        blocks = []
        for earlier, later in self.cuts(sessions):
            net = estimator.fit(earlier, progress=stages.next())
            blocks.append(self.block(net, earlier, later, stages.next()))
        require_lists([target for block in blocks for target in block.targets])
        with torch.random.fork_rng(), training_threads(self.threads):
            torch.manual_seed(self.seed)
            ranker = train_ranker(blocks, epochs=self.epochs, seed=self.seed, progress=stages.next())
        net = estimator.fit(sessions, progress=stages.next())
        return RankedRecommender(net, Postings.of(sessions), export_ranker(ranker))
