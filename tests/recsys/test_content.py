import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.recsys.content import COLUMNS, MAX_VALUES, Content, Sparse, Vocabulary

TEAPOT = Content("Cast-iron teapot", {"category": ["Kitchen > Tea"], "brand": ["Nordvik"]}, 59.0)
KETTLE = Content("Enamel teapot", {"category": ["Kitchen > Tea"], "brand": ["Falk"]}, 49.0)
TENT = Content("Tunnel tent", {"category": ["Outdoor > Tents"], "brand": ["Fjell"]}, 399.0)


def dense(vocabulary, contents):
    found = vocabulary.features(contents)
    matrix = np.zeros((len(found), COLUMNS), np.float32)
    np.add.at(matrix, (np.repeat(np.arange(len(found)), np.diff(found.starts)), found.columns), found.values)
    return matrix


def cosines(*contents):
    found = dense(Vocabulary.of(contents), contents)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found @ found.T


def test_what_shares_words_category_and_price_is_more_alike_than_what_does_not():
    found = cosines(TEAPOT, KETTLE, TENT)
    assert found[0, 1] > 1.5 * found[0, 2]


def test_a_word_inside_another_counts():
    found = cosines(Content("Kuppelzelt"), Content("Zelt"), Content("Kanne"))
    assert found[0, 1] > found[0, 2]


def test_levels_of_a_category_that_two_items_share_count():
    paths = ("Kitchen > Tea > Pots", "Kitchen > Tea > Mugs", "Garden > Pots")
    found = cosines(*(Content(texts={"category": [path]}) for path in paths))
    assert found[0, 1] > found[0, 2]


def test_near_prices_are_more_alike_than_far_ones():
    found = cosines(*(Content(price=price) for price in (10, 12, 500, *range(10, 600, 7))))
    assert found[0, 1] > found[0, 2] + 0.1


@pytest.mark.parametrize(
    "content",
    [
        Content(),
        Content("   "),
        Content(price=float("nan")),
        Content(price=float("inf")),
        Content(price=-5),
        Content("\x00\ud800", {"": [""], "category": [">", "/"]}),
    ],
)
def test_an_item_that_says_nothing_useful_has_features_all_the_same(content):
    found = dense(Vocabulary.of([TEAPOT, content]), [content])
    assert np.isfinite(found).all()
    assert found.any()


def test_of_ten_thousand_values_a_few_count_and_always_the_same():
    values = [f"tag {n}" for n in range(10_000)]
    vocabulary = Vocabulary.of([TEAPOT])
    one = vocabulary.features([Content(texts={"tags": values})])
    other = vocabulary.features([Content(texts={"tags": values[::-1]})])
    assert len(one.columns) <= MAX_VALUES + 1
    assert one.columns.tolist() == other.columns.tolist()


def test_a_vocabulary_of_no_items_takes_items():
    assert dense(Vocabulary.of([]), [TEAPOT]).any()


def test_rare_words_count_more_than_common_ones():
    contents = [Content(f"teapot model{n}") for n in range(20)]
    found = Vocabulary.of(contents).features(contents[:1])
    by_value = found.values[np.argsort(found.columns)]
    assert by_value.max() > 1.5 * by_value[by_value > 0].min()


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, COLUMNS - 1), st.floats(0.1, 1)), min_size=1, max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_products_of_the_sparse_matrix_are_those_of_a_dense_one(rows):
    starts = np.cumsum([0, *(len(row) for row in rows)])
    columns, values = zip(*(entry for row in rows for entry in row), strict=True)
    sparse = Sparse(starts, np.array(columns, np.int32), np.array(values, np.float32))
    matrix = np.zeros((len(rows), COLUMNS), np.float32)
    for number, row in enumerate(rows):
        for column, value in row:
            matrix[number, column] += value
    draw = np.random.default_rng(0)
    right = draw.standard_normal((COLUMNS, 3)).astype(np.float32)
    left = draw.standard_normal((len(rows), 3)).astype(np.float32)
    np.testing.assert_allclose(sparse.dot(right), matrix @ right, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(sparse.transposed_dot(left), matrix.T @ left, rtol=1e-3, atol=1e-4)
