"""What every recommender promises; a test class inherits it and names its estimator."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from django_sessrec.recsys import artifact
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import Estimator, Recommender, Source, best
from django_sessrec.recsys.synthetic import SyntheticShop, synthetic_shop


class RecommenderContract:
    """Subclasses set `estimator`; `beats_popularity` is the HR@20 it reaches in multiples of popularity's."""

    estimator: ClassVar[Estimator]
    beats_popularity: ClassVar[float] = 3.0

    @pytest.fixture(scope="class")
    @classmethod
    def shop(cls) -> SyntheticShop:
        return synthetic_shop()

    @pytest.fixture(scope="class")
    @classmethod
    def recommender(cls, shop: SyntheticShop) -> Recommender:
        return cls.estimator.fit(shop.log.split_last(0.1)[0])

    @pytest.fixture(scope="class")
    @classmethod
    def cases(cls, shop: SyntheticShop) -> Cases:
        return Cases.from_log(shop.log.split_last(0.1)[1])

    @pytest.fixture(scope="class")
    @classmethod
    def sessions(cls, cases: Cases) -> list[np.ndarray]:
        """Prefixes of many lengths, the empty one among them."""
        return [np.zeros(0, np.int32), *(cases.prefix(case) for case in range(0, len(cases), 29))]

    def test_scores_of_a_batch_are_those_of_each_session(self, recommender, sessions):
        together = recommender.scores(sessions)
        assert together.shape == (len(sessions), len(recommender.index))
        assert together.dtype == np.float32
        for session, scores in zip(sessions, together, strict=True):
            np.testing.assert_allclose(scores, recommender.scores([session])[0], rtol=1e-4, atol=1e-5)

    def test_padding_is_never_recommended(self, recommender, sessions):
        assert (recommender.scores(sessions)[:, 0] == -np.inf).all()

    def test_top_is_the_best_of_the_scores(self, recommender, sessions):
        for session in sessions:
            rows, scores = recommender.top(session, 10)
            expected = recommender.scores([session])[0]
            np.testing.assert_allclose(scores, best(expected, 10)[1], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(scores, expected[rows], rtol=1e-4, atol=1e-5)
            assert len(set(rows.tolist())) == len(rows)

    def test_excluded_items_never_return(self, recommender, sessions):
        for session in sessions:
            rows, _ = recommender.top(session, 10)
            without, _ = recommender.top(session, 10, exclude=rows[:5].tolist())
            assert not set(without.tolist()) & set(rows[:5].tolist())
            assert without[: len(rows) - 5].tolist() == rows[5:].tolist()

    def test_nothing_is_changed_by_a_question(self, recommender, sessions):
        before = recommender.scores(sessions[:5])
        recommender.top(sessions[3], 5, exclude=[1, 2])
        np.testing.assert_array_equal(recommender.scores(sessions[:5]), before)

    def test_unknown_items_are_ignored(self, recommender):
        known = recommender.recommend(["item-3", "item-8"], 5)
        assert recommender.recommend(["nowhere", "item-3", "", "item-8", "\x00"], 5) == known
        assert recommender.recommend(["item-3"], 5, exclude=["nowhere"])

    def test_an_empty_session_is_answered(self, recommender):
        assert len(recommender.recommend([], 5)) == 5
        assert recommender.recommend(["nowhere"], 5) == recommender.recommend([], 5)

    def test_a_repeated_click_and_an_endless_session_are_answered(self, recommender):
        assert recommender.recommend(["item-3"] * 3, 5)
        endless = np.tile(np.arange(1, len(recommender.index), dtype=np.int32), 170)
        assert len(endless) > 50_000
        assert len(recommender.top(endless, 5)[0]) == 5

    def test_none_wanted_none_given(self, recommender, sessions):
        assert recommender.top(sessions[1], 0)[0].tolist() == []

    def test_reasons_are_clicks_of_the_session(self, recommender, sessions):
        for session in sessions:
            rows = recommender.top(session, 5)[0].tolist()
            reasons = recommender.because(session, rows)
            assert len(reasons) == len(rows)
            for reason in reasons:
                assert reason.source in Source
                assert set(reason.clicks) <= set(session.tolist())
                assert len(set(reason.clicks)) == len(reason.clicks)

    def test_what_was_clicked_is_told_from_what_is_popular_and_what_a_click_led_to(self, recommender):
        for found in recommender.recommend(["item-3", "item-8"], 20):
            assert (found.source == Source.VIEWED) == (found.item_id in {"item-3", "item-8"})
            assert (found.source == Source.POPULAR) == (found.source != Source.VIEWED and not found.because)
        assert {found.source for found in recommender.recommend([], 5)} == {Source.POPULAR}

    def test_what_is_shown_is_explained_by_itself(self, recommender, sessions):
        for session in sessions:
            item_ids = recommender.index.item_ids(session)
            ranking, all_of_them = recommender.rank(item_ids, 6), recommender.recommend(item_ids, 6)
            assert ranking.explained(0, 2) + ranking.explained(2, None) == all_of_them
            assert ranking.explained(6, None) == []

    def test_it_says_what_it_goes_by(self, recommender):
        assert recommender.describe()

    def test_saving_and_loading_change_nothing(self, recommender, sessions, tmp_path: Path):
        artifact.save(recommender, tmp_path / "model", card={"figures": {"hr@20": 12.5}})
        loaded = artifact.load(tmp_path / "model")
        assert type(loaded) is type(recommender)
        assert loaded.index == recommender.index
        np.testing.assert_array_equal(loaded.scores(sessions), recommender.scores(sessions))
        assert loaded.recommend(["item-3", "item-8"], 5) == recommender.recommend(["item-3", "item-8"], 5)

    def test_it_predicts_clicks_better_than_popularity(self, recommender, shop, cases):
        popularity = Popularity().fit(shop.log.split_last(0.1)[0])
        hit_rate = evaluate(recommender, cases).hr
        assert hit_rate >= self.beats_popularity * evaluate(popularity, cases).hr
