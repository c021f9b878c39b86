"""The best model: better than what it is made of, and trained only on what its sources had not seen."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from django_sessrec.neural import Ranked
from django_sessrec.neural import ranked as ranked_module
from django_sessrec.neural.errors import ExportMismatch, TrainingDiverged
from django_sessrec.neural.ranker import RankingLists, SetRanker, export_ranker, train_ranker
from django_sessrec.neural.subprocess_fit import fit_in_subprocesses
from django_sessrec.recsys import artifact
from django_sessrec.recsys.candidate_features import FEATURES
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.recommender import NotEnoughData, Source
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import SyntheticShop, synthetic_shop
from tests.recsys.contract import RecommenderContract

SMALL = Ranked(network={"embedding_size": 16, "epochs": 1}, periods=1, epochs=1, threads=1)


class TestRanked(RecommenderContract):
    estimator = replace(SMALL, periods=2, epochs=3)
    beats_popularity = 7.0

    def test_it_ranks_better_than_either_of_its_sources(
        self, recommender: RankedRecommender, shop: SyntheticShop, cases: Cases
    ) -> None:
        neighbours = Neighbours().fit(shop.log.split_last(0.1)[0])
        ranked = evaluate(recommender, cases)
        for source in map(partial(evaluate, cases=cases), (recommender.network, neighbours)):
            assert ranked.hr > source.hr
            assert ranked.mrr > 1.2 * source.mrr

    def test_it_gains_in_every_group_of_visits(
        self, recommender: RankedRecommender, shop: SyntheticShop, cases: Cases
    ) -> None:
        earlier, _ = shop.log.split_last(0.1)
        intents = Intents.of(earlier).counts(cases)
        ranked, *sources = (
            evaluate(each, cases, intents=intents)
            for each in (recommender, recommender.network, Neighbours().fit(earlier))
        )
        for groups in ("by_length", "by_intents"):
            for group, figures in getattr(ranked, groups).items():
                if figures["cases"] < 50:
                    continue
                others = [getattr(source, groups)[group] for source in sources]
                assert figures["hr"] > max(other["hr"] for other in others) - 0.02, group
                assert figures["mrr"] > 1.2 * max(other["mrr"] for other in others), group

    def test_a_visit_with_two_intents_sees_both_in_its_list(
        self, recommender: RankedRecommender, shop: SyntheticShop
    ) -> None:
        _, later = shop.log.split_last(0.1)
        asked = served = 0
        for visit in map(later.__getitem__, range(len(later))):
            for length in range(4, len(visit)):
                lately = set(shop.group_of[visit[length - 4 : length]].tolist())
                if len(lately) == 2:
                    asked += 1
                    served += lately <= set(shop.group_of[recommender.top(visit[:length], 10)[0]].tolist())
        assert asked > 50
        assert served > 0.95 * asked

    def test_the_net_is_named_for_what_no_neighbours_would_have_shown(
        self, recommender: RankedRecommender, shop: SyntheticShop, cases: Cases
    ) -> None:
        neighbours = Neighbours().fit(shop.log.split_last(0.1)[0])
        by_source: Counter[str] = Counter()
        for session in map(cases.prefix, range(0, len(cases), 9)):
            rows = recommender.top(session, 20)[0].tolist()
            remembered = set(neighbours.top(session, 20)[0].tolist())
            for row, reason in zip(rows, recommender.because(session, rows), strict=True):
                by_source[reason.source] += 1
                assert reason.source != Source.NETWORK or row not in remembered
        assert set(by_source) == {Source.NEIGHBOURS, Source.CO_VIEWED, Source.NETWORK}

    def test_a_ranker_of_other_features_is_refused(
        self, recommender: RankedRecommender, tmp_path: Path
    ) -> None:
        artifact.save(recommender, tmp_path / "model", card={})
        manifest = json.loads((tmp_path / "model/manifest.json").read_text())
        manifest["parameters"]["inputs"].reverse()
        (tmp_path / "model/manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(artifact.ArtifactError, match="other features"):
            artifact.load(tmp_path / "model")

    def test_the_candidates_come_before_all_others(self, recommender: RankedRecommender) -> None:
        session = np.array([3, 8], np.int32)
        order = recommender.top(session, 300)[0].tolist()
        by_net = recommender.network.top(session, 300)[0].tolist()
        assert set(order) == set(by_net)
        others = order[100:]
        assert others == [row for row in by_net if row in set(others)]


@pytest.fixture
def ranker() -> SetRanker:
    torch.manual_seed(0)
    n = len(FEATURES)
    return SetRanker(torch.randn(n), torch.rand(n) + 0.1).eval()


def drawn(lists: int, candidates: int) -> tuple[Tensor, Tensor]:
    """Features and cosines as good as any."""
    vectors = F.normalize(torch.randn(lists, candidates, 8), dim=-1)
    return torch.randn(lists, candidates, len(FEATURES)), vectors @ vectors.transpose(1, 2)


@pytest.mark.parametrize("candidates", [1, 2, 7, 100])
def test_exported_ranks_like_trained(ranker: SetRanker, candidates: int) -> None:
    features, cosines = drawn(1, candidates)
    asked = {"features": features.numpy(), "cosines": cosines.numpy()}
    served = open_session(export_ranker(ranker), "ranker").run(None, asked)[0]
    with torch.no_grad():
        np.testing.assert_allclose(served, ranker(features, cosines).numpy(), atol=1e-4)


def test_a_ranker_that_is_not_a_number_is_not_exported(ranker: SetRanker) -> None:
    with torch.no_grad():
        ranker.skip.weight[0, 0] = torch.nan
    with pytest.raises(ExportMismatch, match="differ by up to nan"):
        export_ranker(ranker)


def test_what_is_no_candidate_changes_no_score(ranker: SetRanker) -> None:
    features, cosines = drawn(2, 9)
    mask = torch.arange(9) < torch.tensor([[5], [9]])
    with torch.no_grad():
        alone = ranker(features[:1, :5], cosines[:1, :5, :5])[0]
        torch.testing.assert_close(ranker(features, cosines, mask)[0, :5], alone, atol=1e-5, rtol=1e-4)


def planted(n: int, width: int = 100, seed: int = 0) -> RankingLists:
    """Lists of 20 to `width` candidates; the target is the one with the largest first feature."""
    rng = np.random.default_rng(seed)
    lists, there = empty(n, width, rng)
    lists.features[there] = rng.normal(size=(there.sum(), len(FEATURES)))
    lists.targets[:] = np.where(there, lists.features[..., 0], -np.inf).argmax(1)
    return lists


def planted_beside(n: int, width: int = 100, seed: int = 0) -> RankingLists:
    """Lists in which the target is the one most like the candidate with the largest first feature."""
    rng = np.random.default_rng(seed)
    lists, there = empty(n, width, rng)
    lists.features[there, 0] = rng.normal(size=there.sum())
    marked = np.where(there, lists.features[..., 0], -np.inf).argmax(1)
    vectors = lists.vectors[lists.rows]
    likeness = np.einsum("ncd,nd->nc", vectors, vectors[np.arange(n), marked])
    likeness[np.arange(n), marked] = -np.inf
    lists.targets[:] = np.where(there, likeness, -np.inf).argmax(1)
    lists.features[np.arange(n), marked, 0] += 4
    return lists


def empty(n: int, width: int, rng: np.random.Generator) -> tuple[RankingLists, NDArray[np.bool_]]:
    """Lists of 20 to `width` candidates, which items are alike in two dimensions."""
    vectors = rng.normal(size=(500, 2)).astype(np.float32)
    lists = RankingLists.empty(n, width, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    lists.counts[:] = rng.integers(20, width + 1, n)
    there = np.arange(width) < lists.counts[:, None]
    lists.rows[there] = rng.integers(1, 500, there.sum())
    return lists, there


def first_places(ranker: SetRanker, lists: RankingLists) -> NDArray[np.int64]:
    mask = torch.from_numpy(np.arange(lists.rows.shape[1]) < lists.counts[:, None])
    vectors = torch.from_numpy(lists.vectors[lists.rows])
    features = torch.from_numpy(lists.features.astype(np.float32))
    with torch.no_grad():
        scores = ranker(features, vectors @ vectors.transpose(1, 2), mask).masked_fill(~mask, -1e9)
    return scores.argsort(1, descending=True).numpy()


def test_the_ranker_finds_what_tells_the_target() -> None:
    torch.manual_seed(0)
    ranker = train_ranker([planted(700), planted(700, seed=1)])
    unseen = planted(300, seed=2)
    assert (first_places(ranker, unseen)[:, 0] == unseen.targets).mean() > 0.8


def test_a_ranker_learns_from_each_list_by_its_weight() -> None:
    """Half of the lists say that the largest first feature tells the target, half the second; and the
    lighter half is not listened to."""
    torch.manual_seed(0)
    by_first, by_second = planted(700), planted(700, seed=1)
    by_second.features[..., [0, 1]] = by_second.features[..., [1, 0]]
    by_second.weights[:] = 0.02
    ranker = train_ranker([by_first, by_second])
    unseen = planted(300, seed=2)
    assert (first_places(ranker, unseen)[:, 0] == unseen.targets).mean() > 0.6
    by_second.weights[:] = 0
    assert len(by_second.trainable) == 0


def test_a_period_without_a_click_that_followed_another_teaches_nothing() -> None:
    log = synthetic_shop(sessions=1_000).log
    recipe = replace(SMALL, periods=2)
    _, begins, ends, _ = (0, *recipe.cuts(log))
    firsts = log.offsets[begins:ends]
    kept = np.ones(len(log.items), bool)
    kept[log.offsets[begins] : log.offsets[ends]] = False
    kept[firsts] = True
    ids = np.repeat(np.arange(len(log)), log.lengths)
    shortened = SessionLog.from_rows(ids[kept], log.items[kept], log.times[kept], log.index)
    assert (shortened.slice(begins, ends).lengths == 1).all()
    assert recipe.fit(shortened).top(log[0], 5)[0].size == 5


def test_clicks_that_teach_more_are_ranked_higher() -> None:
    log = synthetic_shop().log
    earlier, later = log.slice(0, 1_500), log.slice(1_500, 1_600)
    raised = np.arange(len(earlier.index)) % 4 == 0
    weights = np.where(raised[earlier.items], 6, 1).astype(np.float32)
    shares = [
        np.mean([raised[ranked.top(later[number], 8)[0]].mean() for number in range(len(later))])
        for ranked in (SMALL.fit(earlier), SMALL.fit(replace(earlier, weights=weights)))
    ]
    assert shares[1] > shares[0] + 0.03


def test_the_ranker_finds_what_is_like_a_rival() -> None:
    torch.manual_seed(0)
    ranker = train_ranker([planted_beside(1_500, seed=seed) for seed in (0, 1)])
    unseen = planted_beside(300, seed=2)
    found = (first_places(ranker, unseen)[:, :5] == unseen.targets[:, None]).any(1).mean()
    assert found > 0.5
    scattered = planted_beside(300, seed=2)
    scattered.rows[:] = np.random.default_rng(3).permuted(scattered.rows, axis=1)
    assert (first_places(ranker, scattered)[:, :5] == unseen.targets[:, None]).any(1).mean() < found / 2


def test_a_ranker_whose_loss_is_no_number_is_refused() -> None:
    with pytest.raises(TrainingDiverged, match="ranker's loss"):
        train_ranker([planted(300)], learning_rate=1e38)


def test_the_ranker_is_trained_on_the_processor_if_the_gpu_runs_out_of_memory(
    logs: tuple[SessionLog, SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, tries = SetRanker.forward, Counter[str]()

    def out_of_memory_once(ranker: SetRanker, *arguments: Tensor) -> Tensor:
        tries["training"] += ranker.training
        if tries["training"] == 3 and ranker.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(ranker, *arguments)

    alone = SMALL.fit(logs[0])
    monkeypatch.setattr(SetRanker, "forward", out_of_memory_once)
    notes: list[str] = []
    fitted = SMALL.fit(logs[0], progress=lambda share, shown: notes.extend(filter(None, [shown.get("note")])))
    assert notes == ["The GPU ran out of memory; the training started again on the processor."]
    assert fitted.ranker == alone.ranker


def test_networks_of_few_clicks_are_fitted_here_and_are_the_same(
    logs: tuple[SessionLog, SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, later = logs[0].slice(0, 1_000), logs[1]
    asked: list[int] = []

    def noted(*args: Any, **keys: Any) -> list[OnnxRecommender]:
        asked.append(len(args[2]))
        return fit_in_subprocesses(*args, **keys)

    monkeypatch.setattr(ranked_module, "fit_in_subprocesses", noted)
    here = SMALL.fit(earlier)
    assert asked == []
    monkeypatch.setattr(ranked_module, "FEW_TARGETS", len(earlier.items) - 1)
    elsewhere = SMALL.fit(earlier)
    assert asked == [2]
    sessions = [later[s][:-1] for s in range(20)]
    np.testing.assert_array_equal(here.scores(sessions), elsewhere.scores(sessions))


def test_periods_are_later_than_what_their_sources_see() -> None:
    log = synthetic_shop(sessions=1_000).log
    splits = list(Ranked(periods=3, period_fraction=0.1).splits(log))
    assert [(len(earlier), len(later)) for earlier, later in splits] == [(700, 100), (800, 100), (900, 100)]
    for earlier, later in splits:
        assert earlier.times.max() <= later.started.min() + 3_600
        assert later.index is earlier.index
        assert len(np.unique(earlier.items)) == len(earlier.index) - 1
    assert splits[0][1].started.max() <= splits[1][1].started.min()


def test_the_same_seed_ranks_alike_whatever_the_validation(logs: tuple[SessionLog, SessionLog]) -> None:
    earlier, later = logs[0].slice(0, 1_000), logs[1]
    sessions = [later[s][:-1] for s in range(20)]
    one = SMALL.fit(earlier)
    same = SMALL.fit(earlier, validation=later)
    other = replace(SMALL, seed=1).fit(earlier)
    np.testing.assert_array_equal(one.scores(sessions), same.scores(sessions))
    assert not np.array_equal(one.scores(sessions), other.scores(sessions))


def test_progress_rises_over_all_stages(logs: tuple[SessionLog, SessionLog]) -> None:
    told: list[tuple[float, dict[str, float]]] = []
    SMALL.fit(logs[0].slice(0, 1_000), progress=lambda share, shown: told.append((share, dict(shown))))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [shown["stage"] for _, shown in told] == sorted(shown["stage"] for _, shown in told)
    assert {shown["stage"] for _, shown in told} == {1, 2, 3}


def test_threads_make_the_same_lists(logs: tuple[SessionLog, SessionLog]) -> None:
    earlier, later = next(SMALL.splits(logs[0]))
    net = SMALL.source(1).fit(earlier)
    one, several = (replace(SMALL, threads=n).ranking_lists(net, earlier, later, None) for n in (1, 4))
    np.testing.assert_array_equal(one.features, several.features)
    np.testing.assert_array_equal(one.targets, several.targets)


def test_a_period_has_no_more_lists_than_asked(logs: tuple[SessionLog, SessionLog]) -> None:
    estimator = replace(SMALL, max_queries=50)
    earlier, later = next(estimator.splits(logs[0]))
    lists = estimator.ranking_lists(estimator.source(1).fit(earlier), earlier, later, None)
    assert len(lists.counts) == 50
    assert 40 <= len(lists.trainable) <= 50


@pytest.mark.parametrize("sessions", [0, 30, 100])
def test_too_few_clicks_for_a_ranker_are_refused(sessions: int) -> None:
    with pytest.raises(NotEnoughData, match="collect more visits"):
        Ranked().fit(synthetic_shop().log.slice(0, sessions))


def test_options_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="max_queries must be at least 1, not 0"):
        Ranked(max_queries=0)
    with pytest.raises(ValueError, match="at most half of the sessions"):
        Ranked(periods=8)
    with pytest.raises(TypeError, match="epoch_count"):
        Ranked(network={"epoch_count": 3})
