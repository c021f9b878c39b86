import numpy as np
import pytest

from django_sessrec.recsys import artifact
from django_sessrec.recsys.blend import FLOOR, Blend, BlendRecommender, choose_weights
from django_sessrec.recsys.evaluation import Cases, evaluate
from django_sessrec.recsys.itemknn import ItemKNN
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.recommender import NotEnoughData, Reason, Source, shares
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.recsys.contract import RecommenderContract
from tests.recsys.strategies import log_of

NEIGHBOURS = "django_sessrec.recsys.Neighbours"
ITEMKNN = "django_sessrec.recsys.ItemKNN"
POPULARITY = "django_sessrec.recsys.Popularity"


class TestBlend(RecommenderContract):
    estimator = Blend(sources={NEIGHBOURS: {}, ITEMKNN: {}}, max_queries=300)

    def test_it_ranks_at_least_as_well_as_its_parts(self, recommender, cases):
        assert all(
            evaluate(recommender, cases).ndcg > 0.98 * evaluate(source, cases).ndcg
            for source in recommender.sources
        )

    def test_chances_are_the_product_of_the_powers_of_what_the_models_give(self, recommender, sessions):
        pooled = np.prod(
            [
                (source.probabilities(sessions[1:]) + FLOOR) ** weight
                for source, weight in zip(recommender.sources, recommender.weights, strict=True)
            ],
            axis=0,
        )
        chances = recommender.probabilities(sessions[1:])
        possible = chances > 0
        np.testing.assert_allclose(chances[possible], shares(pooled * possible)[possible], rtol=1e-4)
        assert (pooled[~possible] <= FLOOR * 1.001).all()


@pytest.fixture(scope="module")
def logs():
    return synthetic_shop(sessions=1_500).log.split_last(0.1)


def test_the_better_model_gets_the_weight(logs):
    cases = Cases.from_log(logs[1])
    sources = [Popularity().fit(logs[0]), Neighbours().fit(logs[0])]
    of_popularity, of_neighbours = choose_weights(sources, cases)
    assert of_popularity + of_neighbours == pytest.approx(1)
    assert of_neighbours > 0.5


def test_the_weights_of_three_rank_no_worse_than_each_alone_where_they_were_chosen(logs):
    cases = Cases.from_log(logs[1])
    sources = [estimator.fit(logs[0]) for estimator in (Neighbours(), Neighbours(clicks=1), ItemKNN())]
    blend = BlendRecommender(sources, choose_weights(sources, cases))
    assert all(evaluate(blend, cases).ndcg >= evaluate(source, cases).ndcg - 1e-6 for source in sources)


def test_the_reason_is_that_of_the_model_which_gave_most():
    log = log_of([*[[1, 2]] * 3, *[[3, 4]] * 30])
    blend = BlendRecommender([Neighbours().fit(log), Popularity().fit(log)], (0.5, 0.5))
    reasons = blend.because(np.array([1], np.int32), [2, 3])
    assert reasons == [Reason(Source.NEIGHBOURS, (1,), (3,)), Reason(Source.POPULAR)]


def test_models_keep_their_files_apart(logs, tmp_path):
    blend = BlendRecommender([ItemKNN().fit(logs[0]), Neighbours(clicks=3).fit(logs[0])], (0.25, 0.75))
    artifact.save(blend, tmp_path / "blend", card={})
    manifest = artifact.read_manifest(tmp_path / "blend")
    assert {"0/popularity.npy", "1/popularity.npy"} <= set(manifest["files"])
    assert (tmp_path / "blend/1").stat().st_mode & 0o777 == 0o755
    loaded = artifact.load(tmp_path / "blend")
    assert loaded.weights == (0.25, 0.75)
    assert loaded.sources[1].parameters == Neighbours(clicks=3)
    (tmp_path / "blend/1/postings.npy").write_bytes(b"")
    with pytest.raises(artifact.ArtifactError, match=r"postings\.npy is truncated"):
        artifact.load(tmp_path / "blend")


def test_progress_rises_over_all_fits(logs):
    told = []
    Blend(sources={NEIGHBOURS: {}, POPULARITY: {}}).fit(logs[0], progress=lambda share, _: told.append(share))
    assert told == sorted(told)
    assert told[-1:] == [1]


def test_without_last_days_there_is_nothing_to_choose_by(logs):
    with pytest.raises(NotEnoughData, match="collect more sessions"):
        Blend(sources={NEIGHBOURS: {}, POPULARITY: {}}).fit(logs[0].slice(0, 3))


def test_options_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match="two models or more"):
        Blend(sources={NEIGHBOURS: {}})
    with pytest.raises(ValueError, match="validation_fraction"):
        Blend(validation_fraction=1.0, sources={NEIGHBOURS: {}, POPULARITY: {}})
    with pytest.raises(ValueError, match="clicks must be"):
        Blend(sources={NEIGHBOURS: {"clicks": 99}, POPULARITY: {}})


def test_its_seed_is_that_of_every_source_which_names_none():
    pytest.importorskip("torch", reason="a network is a source: the extra train brings torch")
    net = "django_sessrec.neural.GRU4Rec"
    drawn = Blend(seed=3).estimators()
    assert [getattr(estimator, "seed", None) for estimator in drawn] == [None, None, 3]
    named = Blend(sources={net: {"seed": 7}, "django_sessrec.recsys.ItemKNN": {}}, seed=3)
    assert named.estimators()[0].seed == 7
