"""The estimator of `RankedRecommender`: a network and neighbours propose candidates, a ranker orders them.

The ranker learns from the last periods of the sessions. For each period, the network and the features come
from the sessions before it alone, as they will when they serve. Then both are made of all sessions.

On Diginetica in SR-GNN's split, HR@20 / MRR@20: 58.52 / 21.62, the mean of three seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from django_sessrec.neural.distributed import ProcessGroup
from django_sessrec.neural.estimator import note_out_of_memory, require_enough
from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.ranker import CPU, RankingLists, SetRanker, export_ranker, train_ranker
from django_sessrec.neural.subprocess_fit import first, fit_in_subprocesses
from django_sessrec.neural.training import training_device, training_threads
from django_sessrec.recsys.candidate_features import CandidateFeatures
from django_sessrec.recsys.evaluation import Cases
from django_sessrec.recsys.kernels.features import CANDIDATES
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Progress, Recommender, stages
from django_sessrec.recsys.sessions import SessionLog

MIN_LISTS = 100
FEW_TARGETS = 30_000  # clicks times epochs that are learnt sooner than a process of its own has begun
BATCH, SCORES_AT_ONCE = 256, 2**24  # sessions that the network gets together; 64 MB of its scores
NETWORKS, LISTS, RANKER = 3.0, 0.15, 2.2  # roughly the time of each stage


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """Candidates of neighbours and a network, ordered by a ranker.

    network: options of its GRU4Rec, such as {"embedding_size": 64}.
    parallel_fits: networks trained at the same time, sharing the threads; each takes the memory of one.
    periods: last stretches of the sessions that the ranker learns from.
    period_fraction: share of the sessions in each period; all together at most half.
    max_queries: clicks of a period that it learns from, at most; 10,000 take 100 MB.
    epochs: of the ranker; those of the network are one of its options.
    threads: processor threads of the training; None leaves torch's setting.
    """

    network: Mapping[str, Any] = field(default_factory=dict)
    parallel_fits: int = 2
    periods: int = 4
    period_fraction: float = 0.07
    max_queries: int = 50_000
    epochs: int = 6
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.periods < 1 or not 0 < self.periods * self.period_fraction <= 0.5:
            raise ValueError(
                "periods and period_fraction must take at most half of the sessions, not "
                f"{self.periods} times {self.period_fraction}"
            )
        for name in ("parallel_fits", "max_queries", "epochs"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        self.source(1)

    def source(self, threads: int | None) -> GRU4Rec:
        """The estimator of the network; TypeError for an option that it does not have."""
        return GRU4Rec(**{"seed": self.seed, "threads": threads, **self.network})

    def fit(
        self,
        sessions: SessionLog,
        *,
        validation: SessionLog | None = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
        warm_start: Recommender | None = None,
    ) -> RankedRecommender:
        """Train a network for each period and the one that serves, then the ranker on the periods' lists.

        validation: not used; the last periods serve as such.
        checkpoints: a folder from which the networks of an interrupted fit resume.
        warm_start: a recommender that Ranked fitted. Its network is trained on; its ranker stays, because the
        features' weights change more slowly than the items.
        Raises NotEnoughData, TrainingDiverged, ExportMismatch.
        """
        require_enough(sessions)
        if warm_start is not None:
            return self.refreshed(warm_start, sessions, progress, checkpoints)
        _, last = sessions.split_last(self.periods * self.period_fraction)
        require_lists(len(Cases.from_log(last)))
        stage = stages(progress, [NETWORKS, *[LISTS] * self.periods, RANKER])
        *earlier_networks, network = self.networks(sessions, next(stage), checkpoints)
        periods = [
            self.ranking_lists(earlier_network, earlier, later, next(stage))
            for earlier_network, (earlier, later) in zip(earlier_networks, self.splits(sessions), strict=True)
        ]
        require_lists(sum(len(lists.trainable) for lists in periods))
        ranker = self.trained_ranker(periods, next(stage))
        return RankedRecommender(network, Postings.of(sessions), export_ranker(ranker))

    def trained_ranker(self, periods: Sequence[RankingLists], progress: Progress | None) -> SetRanker:
        """The ranker trained on the network's device, or on the processor if the GPU runs out of memory."""

        def trained(device: torch.device) -> SetRanker:
            with torch.random.fork_rng(), training_threads(self.threads):
                torch.manual_seed(self.seed)
                return train_ranker(
                    periods, epochs=self.epochs, seed=self.seed, device=device, progress=progress
                )

        try:
            return trained(training_device(self.source(None).device))
        except torch.OutOfMemoryError:
            note_out_of_memory(progress)
            return trained(CPU)

    def refreshed(
        self,
        start: Recommender,
        sessions: SessionLog,
        progress: Progress | None,
        checkpoints: Path | None,
    ) -> RankedRecommender:
        """`start` with its network trained on, new neighbours and the same ranker."""
        if not isinstance(start, RankedRecommender):
            raise TypeError(f"Ranked can start from what it trained, not from {type(start).__name__}")
        source = self.source(self.threads)
        network = source.fit(sessions, progress=progress, checkpoints=checkpoints, warm_start=start.network)
        return RankedRecommender(network, Postings.of(sessions), start.ranker)

    def networks(
        self, sessions: SessionLog, progress: Progress | None, checkpoints: Path | None
    ) -> list[OnnxRecommender]:
        """The networks of the sessions before each period, and of all sessions.

        `parallel_fits` at a time, each in a process of its own. One after the other where few clicks are
        learnt, by this process, and under torchrun, by all of its processes.
        """
        cuts = self.cuts(sessions)
        threads = self.threads or torch.get_num_threads()
        parallel_fits = min(self.parallel_fits, threads, len(cuts))
        distributed = ProcessGroup().is_distributed
        source = self.source(self.threads if distributed else threads // parallel_fits)
        if distributed or len(sessions.items) * source.epochs <= FEW_TARGETS:
            return [
                source.fit(
                    first(sessions, cut),
                    progress=progress and partial(_report, progress, number, len(cuts)),
                    checkpoints=checkpoints and checkpoints / str(number),
                )
                for number, cut in enumerate(cuts)
            ]
        return fit_in_subprocesses(
            source,
            sessions,
            cuts,
            parallel_fits=parallel_fits,
            progress=progress,
            checkpoints=checkpoints,
        )

    def cuts(self, sessions: SessionLog) -> list[int]:
        """Numbers of sessions before each period, and of all."""
        return [round(len(sessions) * (1 - self.period_fraction * n)) for n in range(self.periods, -1, -1)]

    def splits(self, sessions: SessionLog) -> Iterator[tuple[SessionLog, SessionLog]]:
        """For each period the sessions before it, and its own over the items of those before."""
        for cut, end in pairwise(self.cuts(sessions)):
            earlier = sessions.slice(0, cut).compacted()
            yield earlier, sessions.slice(cut, end).reindexed(earlier.index)

    def ranking_lists(
        self, network: OnnxRecommender, earlier: SessionLog, later: SessionLog, progress: Progress | None
    ) -> RankingLists:
        """Lists for the clicks of `later`, made as they would have been when `earlier` ended."""
        cases = Cases.from_log(later).thinned(self.max_queries)
        candidates = CandidateFeatures(Postings.of(earlier), Popularity().fit(earlier), network.items)
        lists = RankingLists.empty(len(cases), CANDIDATES, network.items)
        if later.weights is not None:
            lists.weights[:] = later.weights[cases.stops]

        def fill(batch: NDArray[np.int64]) -> None:
            prefixes = [cases.prefix(case) for case in batch]
            vectors = network.vectors(prefixes)
            for case, prefix, vector, scores in zip(
                batch, prefixes, vectors, network.scores_of(vectors), strict=True
            ):
                proposals = network.proposals_among(vector, scores, CANDIDATES)
                rows, features = candidates.candidates(prefix, proposals)
                lists.rows[case, : len(rows)] = rows
                lists.features[case, : len(rows)] = features
                lists.counts[case] = len(rows)
                if len(place := np.flatnonzero(rows == cases.labels[case])):
                    lists.targets[case] = place[0]

        size = max(1, min(BATCH, SCORES_AT_ONCE // len(network.index)))
        order = np.argsort(cases.lengths, kind="stable")  # the network is faster on sessions of one length
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        with ThreadPoolExecutor(self.threads or torch.get_num_threads()) as pool:
            for done, _ in enumerate(pool.map(fill, batches), 1):
                if progress is not None:
                    progress(done / len(batches), {})
        return lists


def require_lists(n: int) -> None:
    """Raise NotEnoughData for fewer lists than a ranker can be trained on."""
    if n < MIN_LISTS:
        raise NotEnoughData(
            f"the ranker needs {MIN_LISTS} clicks of the last sessions that followed another; there are "
            f"{n}: collect more visits, and let neighbours or a network answer until then"
        )


def _report(progress: Progress, number: int, networks: int, share: float, shown: Mapping[str, Any]) -> None:
    progress((number + share) / networks, {**shown, "network": number + 1})
