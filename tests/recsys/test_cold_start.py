import numpy as np
import pytest

from django_sessrec.recsys import artifact
from django_sessrec.recsys.artifact import ArtifactError
from django_sessrec.recsys.cold_start import FEWEST_ITEMS, ColdStart, session_weights
from django_sessrec.recsys.content import Content
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.popularity import Popularity
from tests.recsys.strategies import log_of

KINDS, OF_A_KIND = ("tents", "mugs", "rugs"), 12
WORDS = {"tents": "Tunnel tent", "mugs": "Stoneware mug", "rugs": "Wool rug"}


def content(kind, number):
    return Content(f"{WORDS[kind]} {number}", {"category": [kind]}, 10.0 + number)


@pytest.fixture(scope="module")
def log():
    """Each session looks at things of one kind; row 1 to 12 are tents, then mugs, then rugs."""
    draw = np.random.default_rng(0)
    kinds = [np.arange(1, OF_A_KIND + 1) + OF_A_KIND * kind for kind in range(3)]
    sessions = [draw.choice(kind, 5, replace=False).tolist() for _ in range(80) for kind in kinds]
    return log_of(sessions, n_items=len(KINDS) * OF_A_KIND)


@pytest.fixture(scope="module")
def contents():
    rows = ((kind, number) for kind in KINDS for number in range(OF_A_KIND))
    return {row: content(*each) for row, each in enumerate(rows, 1)}


@pytest.fixture(scope="module")
def intents(log):
    return Intents.of(log)


@pytest.fixture(scope="module")
def cold_start(log, contents, intents):
    return ColdStart.of(contents, intents, log)


def nearest(vector, intents):
    return int((intents.vectors @ vector).argmax())


@pytest.mark.parametrize(("kind", "rows"), [("tents", range(1, 13)), ("mugs", range(13, 25))])
def test_a_product_without_clicks_lies_among_those_of_its_kind(cold_start, intents, kind, rows):
    [vector] = cold_start.map([content(kind, 99)])
    assert nearest(vector, intents) in rows
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_the_same_log_and_content_make_the_same_mapping(cold_start, log, contents, intents):
    again = ColdStart.of(contents, intents, log)
    np.testing.assert_array_equal(again.map([content("rugs", 99)]), cold_start.map([content("rugs", 99)]))


def test_clicks_correct_what_the_content_says(cold_start, intents):
    """Somebody sorted a mug under tents: the more it is clicked, the more it lies where visitors put it."""
    misplaced = cold_start.map([content("tents", 99)] * 3)
    rows = np.array([13] * 3, np.int32)
    clicks = np.array([0, 30, 3_000])
    likeness = []
    for number in range(3):
        counted = cold_start.clicks.copy()
        counted[13] = clicks[number]
        of = ColdStart(cold_start.vocabulary, cold_start.weights, counted, cold_start.fit, cold_start.alike)
        [vector] = of.embeddings(misplaced[number : number + 1], rows[:1], intents)
        likeness.append(float(vector @ intents.vectors[13]))
    assert likeness == sorted(likeness)
    assert likeness[0] == pytest.approx(float(misplaced[0] @ intents.vectors[13]), abs=1e-5)
    assert likeness[2] > 0.99


def test_an_item_without_content_has_what_its_clicks_say(cold_start, intents):
    [vector] = cold_start.embeddings(np.zeros((1, 128), np.float32), np.array([5], np.int32), intents)
    np.testing.assert_allclose(vector, intents.vectors[5], atol=1e-5)


def test_what_is_likely_to_be_clicked_next_is_told_from_what_is_not(cold_start, intents):
    new = cold_start.map([content(kind, 99) for kind in KINDS])
    likeness = intents.vectors[1:] @ new.T >= cold_start.alike
    of_kind = np.arange(36)[:, None] // OF_A_KIND == np.arange(3)
    assert likeness[of_kind].mean() > 0.7
    assert likeness[~of_kind].mean() < 0.1


def test_the_shop_s_own_vectors_take_the_place_of_its_texts(log, intents):
    draw = np.random.default_rng(1)
    directions = draw.standard_normal((3, 8))
    own = {
        row: Content(vector=(directions[(row - 1) // 12] + 0.1 * draw.standard_normal(8)).tolist())
        for row in range(1, 37)
    }
    cold_start = ColdStart.of(own, intents, log)
    [vector, nothing] = cold_start.map([Content(vector=directions[2].tolist()), Content("Wool rug")])
    assert nearest(vector, intents) in range(25, 37)
    assert not nothing.any()
    with pytest.raises(ValueError, match="a vector of 3 numbers, where the training run had 8"):
        cold_start.map([Content(vector=[1.0, 2.0, 3.0])])


@pytest.mark.parametrize("vectors", [[[1.0], [1.0, 2.0]], [[float("nan")], [1.0]], [[], []]])
def test_vectors_that_are_none_are_refused(log, intents, vectors):
    own = {row: Content(vector=vectors[row % 2]) for row in range(1, 37)}
    with pytest.raises(ValueError, match=r"inhomogeneous|finite numbers"):
        ColdStart.of(own, intents, log)


def test_too_few_products_teach_nothing(log, contents, intents):
    few = {row: contents[row] for row in range(1, FEWEST_ITEMS)}
    assert ColdStart.of(few, intents, log) is None
    assert ColdStart.of({}, intents, log) is None


def test_a_catalogue_of_one_category_without_prices_is_mapped_by_its_titles(log, intents):
    same = {
        row: Content(f"{list(WORDS.values())[(row - 1) // 12]} {row}", {"category": ["all"]})
        for row in range(1, 37)
    }
    [vector] = ColdStart.of(same, intents, log).map([Content("Wool rug 99", {"category": ["all"]})])
    assert nearest(vector, intents) in range(25, 37)


def test_products_that_say_nothing_are_all_mapped_alike_and_to_numbers(log, intents):
    cold_start = ColdStart.of(dict.fromkeys(range(1, 37), Content()), intents, log)
    found = cold_start.map([Content(), Content("Wool rug")])
    assert np.isfinite(found).all()
    assert cold_start.map([]).shape == (0, 128)


def test_it_opens_with_its_model_as_it_was_saved(tmp_path, log, intents, cold_start):
    recommender = Popularity().fit(log)
    artifact.save(recommender, tmp_path / "model", card={}, intents=intents, cold_start=cold_start)
    opened = artifact.load_cold_start(tmp_path / "model", artifact.load(tmp_path / "model").index)
    new = [content("tents", 99), Content()]
    np.testing.assert_allclose(opened.map(new), cold_start.map(new), atol=0.01)
    assert (opened.alike, opened.clicks.tolist()) == (cold_start.alike, cold_start.clicks.tolist())


def test_a_model_without_one_has_none(tmp_path, log):
    recommender = Popularity().fit(log)
    artifact.save(recommender, tmp_path / "model", card={})
    assert artifact.load_cold_start(tmp_path / "model", recommender.index) is None


def test_arrays_that_do_not_fit_the_model_are_refused(tmp_path, log, intents, cold_start):
    other = Popularity().fit(log_of([[1, 2], [2, 1]]))
    artifact.save(other, tmp_path / "model", card={}, intents=intents, cold_start=cold_start)
    with pytest.raises(ArtifactError, match="do not fit 9 rows"):
        artifact.load_cold_start(tmp_path / "model", other.index)


@pytest.mark.parametrize("length", [1, 5])
def test_the_newest_click_of_a_session_counts_most(length):
    weights = session_weights(length)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) > 0).all()
