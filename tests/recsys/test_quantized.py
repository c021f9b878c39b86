import numpy as np
import pytest

from django_sessrec.recsys.kernels.quantized import ROOM
from django_sessrec.recsys.quantized import Int8Vectors


def clustered(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    centres = rng.standard_normal((max(n // 50, 1), size), dtype=np.float32)
    return centres[rng.integers(0, len(centres), n)] + 0.3 * rng.standard_normal((n, size), dtype=np.float32)


def of_many_lengths(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    vectors = rng.standard_normal((n, size), dtype=np.float32)
    vectors[rng.integers(0, n, n // 10), rng.integers(0, size, n // 10)] *= 50  # bytes are coarse there
    return vectors * rng.lognormal(0, 2, (n, 1)).astype(np.float32)


def found(vectors, query, k, listed=None):
    """(k,) rows and their products, as the exported net takes them from the kernel."""
    listed = np.ones(len(vectors), np.bool_) if listed is None else listed
    rows, products = Int8Vectors.of(vectors).kernel(vectors).contenders(query, k, listed)
    best = np.argsort(-products, kind="stable")[:k]
    return rows[best], products[best], len(rows)


@pytest.mark.parametrize("size", [1, 7, 64, 128, 600])
@pytest.mark.parametrize("drawn", [clustered, of_many_lengths])
def test_no_row_is_missed(drawn, size):
    rng = np.random.default_rng(size)
    vectors = drawn(rng, 5_000, size)
    for query in (*drawn(rng, 5, size), vectors[17]):
        products = vectors.astype(np.float64) @ query
        for k in (1, 20, 300):
            rows, scores, _ = found(vectors, query, k)
            assert len(set(rows.tolist())) == k
            np.testing.assert_allclose(scores, np.sort(products)[::-1][:k], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(scores, products[rows], rtol=1e-4, atol=1e-5)


def test_few_rows_are_multiplied_in_full():
    rng = np.random.default_rng(0)
    for vectors in (rng.standard_normal((20_000, 128), dtype=np.float32), clustered(rng, 20_000, 128)):
        assert max(found(vectors, query, 20)[2] for query in vectors[:50]) < 500


def test_equal_products_are_in_the_order_of_their_rows():
    rng = np.random.default_rng(0)
    vectors = rng.integers(-3, 4, (4_000, 19)).astype(np.float32)  # whose products are exact
    vectors[rng.integers(0, 4_000, 300)] = 0
    for query in (*vectors[:20], np.zeros(19, np.float32)):
        rows, products, _ = found(vectors, query, 20)
        expected = np.argsort(-(vectors @ query), kind="stable")[:20]
        assert rows.tolist() == expected.tolist()
        assert products.tolist() == (vectors @ query)[expected].tolist()


def test_only_listed_rows_are_found_be_they_fewer_than_wanted():
    rng = np.random.default_rng(0)
    vectors = clustered(rng, 2_000, 32)
    listed = rng.random(2_000) < 0.3
    rows, products, _ = found(vectors, vectors[5], 40, listed)
    expected = np.where(listed, vectors @ vectors[5], -np.inf)
    assert listed[rows].all()
    np.testing.assert_allclose(products, np.sort(expected)[::-1][:40], rtol=1e-4)
    listed[:] = False
    listed[[3, 9]] = True
    assert sorted(found(vectors, vectors[5], 40, listed)[0].tolist()) == [3, 9]


@pytest.mark.parametrize("size", [1, 15, 16, 50, 128])
@pytest.mark.parametrize("n", [1, 3, 255, 256, 259, 5_000])
def test_the_partition_is_that_of_all_listed_products(n, size):
    rng = np.random.default_rng(n + size)
    vectors = clustered(rng, n, size) * (3 / size**0.5)
    listed = rng.random(n) < 0.7
    listed[n // 2] = True
    for query in (*clustered(rng, 3, size), 40 * clustered(rng, 1, size)[0], np.zeros(size, np.float32)):
        kernel = Int8Vectors.of(vectors).kernel(vectors)
        rows, scores, log_partition = kernel.contenders_and_partition(query, 2, listed)
        products = (vectors.astype(np.float64) @ query)[listed]
        expected = np.log(np.exp(products - products.max()).sum()) + products.max()
        assert log_partition == pytest.approx(expected, abs=0.01 + 1e-3 * np.abs(products).max())
        exact = kernel.contenders(query, 2, listed)
        assert (rows.tolist(), scores.tolist()) == (exact[0].tolist(), exact[1].tolist())


def test_the_partition_of_no_rows_is_minus_infinity():
    vectors = np.ones((300, 4), np.float32)
    kernel = Int8Vectors.of(vectors).kernel(vectors)
    rows, _, log_partition = kernel.contenders_and_partition(vectors[0], 2, np.zeros(300, np.bool_))
    assert not len(rows)
    assert log_partition == -np.inf


def test_the_partition_of_many_like_rows_is_as_exact_as_bytes_are():
    """What rounding leaves of each product has no sign of its own, so it hardly counts in a sum of many."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40_000, 64), dtype=np.float32)
    kernel = Int8Vectors.of(vectors).kernel(vectors)
    for query in rng.standard_normal((20, 64), dtype=np.float32) / 2:
        *_, log_partition = kernel.contenders_and_partition(query, 100, np.ones(40_000, np.bool_))
        assert log_partition == pytest.approx(
            np.log(np.exp(vectors.astype(np.float64) @ query).sum()), abs=2e-3
        )


def test_rows_that_are_all_alike_are_too_many():
    vectors = np.ones((2 * ROOM, 4), np.float32)
    kernel = Int8Vectors.of(vectors).kernel(vectors)
    assert kernel.contenders(vectors[0], 20, np.ones(len(vectors), np.bool_)) is None


def test_a_rest_is_never_longer_than_it_says():
    for drawn in (clustered, of_many_lengths):
        vectors = drawn(np.random.default_rng(1), 25_000, 16)
        quantized = Int8Vectors.of(vectors)
        rest = vectors - quantized.scale[:, None].astype(np.float64) * quantized.codes
        assert (np.linalg.norm(rest, axis=1) <= 1.00001 * quantized.residual * quantized.scale).all()
        assert quantized.residual <= 0.5 * 16**0.5


def test_arrays_that_do_not_belong_together_are_refused():
    vectors = np.ones((10, 4), np.float32)
    quantized = Int8Vectors.of(vectors)
    with pytest.raises(ValueError, match=r"int8 \(10, 4\) is not int8 \(9, 4\)"):
        quantized.kernel(vectors[:9])
    with pytest.raises(ValueError, match="float64"):
        quantized.kernel(vectors.astype(np.float64))
    listed = np.ones(10, np.bool_)
    for vector, rows in ((vectors[0, :3], listed), (vectors[0], listed[:9])):
        with pytest.raises(ValueError, match="do not fit"):
            quantized.kernel(vectors).contenders(vector, 1, rows)
