from collections.abc import Iterator

import numpy as np
import pytest

from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from django_sessrec.recsys import artifact, onnx_recommender
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.kernels.quantized import ROOM
from django_sessrec.recsys.quantized import CODES, Int8Vectors
from django_sessrec.recsys.recommender import Recommender, best
from django_sessrec.recsys.synthetic import SyntheticShop
from tests.recsys.contract import RecommenderContract
from tests.recsys.test_few_items import visits_to


class TestGRU4Rec(RecommenderContract):
    estimator = GRU4Rec(embedding_size=32, threads=1)
    beats_popularity = 7.0


class TestSASRec(RecommenderContract):
    estimator = SASRec(embedding_size=32, threads=1)
    beats_popularity = 7.0


class TestSRGNN(RecommenderContract):
    estimator = SRGNN(embedding_size=32, threads=1)
    beats_popularity = 7.0


class TestQuantized(RecommenderContract):
    """A net as a web process opens it where items are many."""

    estimator = GRU4Rec(embedding_size=32, threads=1)
    beats_popularity = 7.0

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def items_are_many(cls) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnx_recommender, "QUANTIZED_FROM", 2)
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def recommender(cls, shop: SyntheticShop, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
        folder = tmp_path_factory.mktemp("saved") / "net"
        artifact.save(cls.estimator.fit(shop.log.split_last(0.1)[0]), folder, card={})
        return artifact.load(folder)

    def test_what_is_found_is_what_all_scores_say(self, recommender, sessions):
        for session in sessions:
            for exclude in ((), session.tolist()):
                rows, _ = recommender.top(session, 20, exclude=exclude)
                all_scores = recommender.scores([session])[0]
                assert rows.tolist() == best(all_scores, 20, exclude=exclude)[0].tolist()

    def test_a_net_saved_without_bytes_opens(self, recommender, sessions, tmp_path, monkeypatch):
        monkeypatch.setattr(onnx_recommender, "QUANTIZED_FROM", 10**6)
        artifact.save(recommender, tmp_path / "net", card={})
        assert not (tmp_path / "net" / CODES).exists()
        loaded = artifact.load(tmp_path / "net")
        assert loaded.top(sessions[1], 10)[0].tolist() == recommender.top(sessions[1], 10)[0].tolist()

    def test_items_that_are_all_alike_are_scored(self, recommender):
        rows = 2 * ROOM
        items = np.tile(recommender.items[1], (rows, 1))
        popularity = np.ones(rows, np.float32)
        popularity[0] = -np.inf
        alike = onnx_recommender.OnnxRecommender(
            ItemIndex(list(map(str, range(1, rows)))),
            recommender.encoder,
            items,
            popularity,
            window=20,
            weights=recommender.weights,
            quantized=Int8Vectors.of(items),
        )
        found, scores = alike.top(np.array([3, 5], np.int32), 20, exclude=[1, 2])
        assert len(set(found.tolist()) - {0, 1, 2}) == 20
        np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


@pytest.mark.parametrize("items", [2, 31])
@pytest.mark.parametrize("network", [GRU4Rec, SASRec, SRGNN])
def test_a_few_items_are_enough(network, items):
    model = network(embedding_size=16, epochs=1, threads=1).fit(visits_to(items))
    names = {f"item-{number}" for number in range(1, items + 1)}
    for session in ([], ["item-1"], ["item-1", "item-2", "item-1"], ["gone"]):
        found = {each.item_id for each in model.recommend(session, items)}
        assert found == names
