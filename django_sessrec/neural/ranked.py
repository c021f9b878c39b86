"""The champion's estimator: sources and a ranker, each trained on what it may know.

The ranker learns from blocks of later sessions: for each block the net and the evidence are made of the
sessions before it alone, as they will be when they serve. Then both are made anew of all sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from django_sessrec.neural.estimator import require_enough
from django_sessrec.neural.export import export_ranker
from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.ranker import Block, train_ranker
from django_sessrec.neural.subprocess_fit import first, fit_in_subprocesses
from django_sessrec.neural.torchrun import Peers
from django_sessrec.neural.training import training_device, training_threads
from django_sessrec.recsys.candidate_features import CandidateFeatures
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.kernels.candidate_features import CANDIDATES
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress, Recommender, stages
from django_sessrec.recsys.sessions import SessionLog

FEWEST_LISTS = 100
BATCH, SCORES_AT_ONCE = 256, 2**24  # sessions of which the net is asked together; 64 MB of its scores
NETS, LISTS, RANKER = 3.0, 0.15, 2.2  # roughly the time of each stage


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Candidates of neighbours and a net, ranked by the evidence.

    net: options of GRU4Rec, such as {"embedding_size": 64}.
    nets_at_once: nets that are trained at a time, sharing the threads; each takes the memory of one.
    blocks, block_fraction: the ranker is trained on the last sessions, so many blocks of this share of all.
    max_lists: clicks of a block that are trained on, at most; 10,000 take 100 MB.
    epochs: of the ranker; those of the net are one of its options.
    threads: processor threads of the training; None leaves torch's setting.
    """

    net: Mapping[str, Any] = field(default_factory=dict)
    nets_at_once: int = 2
    blocks: int = 4
    block_fraction: float = 0.07
    max_lists: int = 50_000
    epochs: int = 6
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.blocks < 1 or not 0 < self.blocks * self.block_fraction <= 0.5:
            raise ValueError(
                f"blocks and block_fraction must take at most half of the sessions, not {self.blocks} times "
                f"{self.block_fraction}"
            )
        if self.nets_at_once < 1:
            raise ValueError(f"nets_at_once must be at least 1, not {self.nets_at_once}")
        self.source(1)

    def source(self, threads: int | None) -> GRU4Rec:
        """The net that proposes; TypeError for an option that it does not have."""
        return GRU4Rec(**{"seed": self.seed, "threads": threads, **self.net})

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
        warm_start: Recommender | None = None,
    ) -> RankedRecommender:
        """Train the nets of all blocks and the one that serves, then the ranker on the blocks' lists.

        validation is not looked at: the last blocks play its part. checkpoints: a folder with whose help
        the nets of a fit that was killed go on. warm_start: a Ranked recommender, whose net learns what has
        come since and whose ranker stays: what the evidence is worth changes more slowly than the items.
        Raises NotEnoughData, TrainingDiverged, ExportMismatch.
        """
        require_enough(sessions)
        if warm_start is not None:
            return self.refreshed(warm_start, sessions, progress, checkpoints)
        _, last = sessions.split_last(self.blocks * self.block_fraction)
        require_lists(len(Cases.from_log(last)))
        report = stages(progress, [NETS, *[LISTS] * self.blocks, RANKER])
        *earlier_nets, net = self.nets(sessions, next(report), checkpoints)
        blocks = [
            self.lists(earlier_net, earlier, later, next(report))
            for earlier_net, (earlier, later) in zip(earlier_nets, self.splits(sessions), strict=True)
        ]
        require_lists(sum(len(block.trainable) for block in blocks))
        with torch.random.fork_rng(), training_threads(self.threads):
            torch.manual_seed(self.seed)
            ranker = train_ranker(
                blocks,
                epochs=self.epochs,
                seed=self.seed,
                device=training_device(self.source(None).device),
                progress=next(report),
            )
        return RankedRecommender(net, Postings.of(sessions), export_ranker(ranker))

    def refreshed(
        self,
        start: Recommender,
        sessions: SessionLog,
        progress: Progress | None,
        checkpoints: Path | None,
    ) -> RankedRecommender:
        """`start` with a net that has learnt what came since."""
        if not isinstance(start, RankedRecommender):
            raise TypeError(f"Ranked can start from what it trained, not from {type(start).__name__}")
        source = self.source(self.threads)
        net = source.fit(sessions, progress=progress, checkpoints=checkpoints, warm_start=start.network)
        return RankedRecommender(net, Postings.of(sessions), start.ranker)

    def nets(
        self, sessions: SessionLog, progress: Progress | None, checkpoints: Path | None
    ) -> list[OnnxRecommender]:
        """The net of what came before each block, and that of everything.

        Some at a time, each in a process of its own; under torchrun one by one, each by all processes.
        """
        cuts = self.cuts(sessions)
        if Peers().world > 1:
            return [
                self.source(self.threads).fit(
                    first(sessions, cut),
                    progress=progress and partial(_tell_of_net, progress, number, len(cuts)),
                    checkpoints=checkpoints and checkpoints / str(number),
                )
                for number, cut in enumerate(cuts)
            ]
        threads = self.threads or torch.get_num_threads()
        at_once = min(self.nets_at_once, threads, len(cuts))
        source = self.source(threads // at_once)
        return fit_in_subprocesses(
            source, sessions, cuts, at_once=at_once, progress=progress, checkpoints=checkpoints
        )

    def cuts(self, sessions: SessionLog) -> list[int]:
        """The ends of what comes before each block, and of everything."""
        return [round(len(sessions) * (1 - self.block_fraction * n)) for n in range(self.blocks, -1, -1)]

    def splits(self, sessions: SessionLog) -> Iterator[tuple[SessionLog, SessionLog]]:
        """For each block the sessions before it and its own, over the items of those before."""
        for cut, end in pairwise(self.cuts(sessions)):
            earlier = sessions.slice(0, cut).compacted()
            yield earlier, sessions.slice(cut, end).reindexed(earlier.index)

    def lists(
        self, net: OnnxRecommender, earlier: SessionLog, later: SessionLog, progress: Progress | None
    ) -> Block:
        """What `later` clicked, in lists as they would have been made the moment `earlier` ended."""
        cases = Cases.from_log(later)
        if len(cases) > self.max_lists:
            cases = cases.take(np.linspace(0, len(cases) - 1, self.max_lists).astype(np.int64))
        candidates = CandidateFeatures(Postings.of(earlier), Popularity().fit(earlier), net.items)
        block = Block.empty(len(cases), CANDIDATES, net.items)

        def fill(batch: NDArray[np.int64]) -> None:
            prefixes = [cases.prefix(case) for case in batch]
            for case, prefix, scores in zip(batch, prefixes, net.scores(prefixes), strict=True):
                rows, features = candidates.candidates(prefix, scores)
                block.rows[case, : len(rows)] = rows
                block.features[case, : len(rows)] = features
                block.counts[case] = len(rows)
                if len(place := np.flatnonzero(rows == cases.labels[case])):
                    block.targets[case] = place[0]

        size = max(1, min(BATCH, SCORES_AT_ONCE // len(net.index)))
        order = np.argsort(cases.lengths, kind="stable")  # the net is quicker where all are of one length
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(self.threads or torch.get_num_threads()) as pool:
            for done, _ in enumerate(pool.map(fill, batches), 1):
                if progress is not None:
                    progress(done / len(batches), {})
        return block


def _tell_of_net(progress: Progress, number: int, nets: int, share: float, shown: Mapping[str, Any]) -> None:
    progress((number + share) / nets, {**shown, "net": number + 1})


def require_lists(n: int) -> None:
    """NotEnoughData for fewer lists than a ranker can be trained on."""
    if n < FEWEST_LISTS:
        raise NotEnoughData(
            f"the ranker needs {FEWEST_LISTS} clicks of the last sessions that followed another; there are "
            f"{n}: collect more visits, and let neighbours or a net answer until then"
        )
