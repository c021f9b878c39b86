"""Networks of a large catalogue without a training run, whose weights cost a query what trained ones would.

The encoder and the ranker are as before their first step. Items' vectors lie in clusters, as trained ones do:
how alike they are decides how many rows a search has to multiply in full.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.scale import zipf
from django_sessrec.neural.export import to_onnx
from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.ranker import SetRanker, export_ranker
from django_sessrec.neural.warm_start import weights_of
from django_sessrec.recsys.candidate_features import FEATURES
from django_sessrec.recsys.items import FloatArray, ItemIndex
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.postings import Postings
from django_sessrec.recsys.quantized import Int8Vectors
from django_sessrec.recsys.ranked import RankedRecommender
from django_sessrec.recsys.sessions import SessionLog


def log_of(n_items: int, n_clicks: int, seed: int = 0) -> SessionLog:
    """Zipf-popular clicks of a month; items that nobody clicked are in its index, too."""
    clicks = zipf.draw(n_items, n_clicks, seed=seed)
    index = ItemIndex([str(item) for item in range(1, n_items + 1)])
    return SessionLog.from_ordered(clicks.sessions, clicks.items.astype(np.int32), clicks.seconds, index)


def network(log: SessionLog, *, size: int = 128, seed: int = 0) -> OnnxRecommender:
    """A GRU4Rec that lists every item of the index, clicked or not."""
    torch.manual_seed(seed)
    recipe = GRU4Rec(embedding_size=size)
    encoder = recipe.encoder(torch.from_numpy(clustered(len(log.index), size, seed))).eval()
    with torch.no_grad():
        items = encoder.item_vectors(torch.arange(len(log.index))).numpy()
    popularity = np.maximum(Popularity().fit(log).clicks, 0)
    popularity[0] = -np.inf
    return OnnxRecommender(
        log.index,
        to_onnx(encoder),
        items,
        popularity,
        window=recipe.window,
        weights=weights_of(encoder),
        quantized=Int8Vectors.of(items),
    )


def ranked(log: SessionLog, network: OnnxRecommender, seed: int = 0) -> RankedRecommender:
    """Ranked over this network, with the log's neighbours."""
    torch.manual_seed(seed)
    ranker = SetRanker(torch.zeros(len(FEATURES)), torch.ones(len(FEATURES)))
    return RankedRecommender(network, Postings.of(log), export_ranker(ranker))


def clustered(n: int, size: int, seed: int) -> FloatArray:
    """(n, size) vectors in clusters of about fifty."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, n // 50), size), dtype=np.float32)
    vectors = 0.5 * rng.standard_normal((n, size), dtype=np.float32)
    vectors += centres[rng.integers(0, len(centres), n)]
    vectors[0] = 0
    return vectors
