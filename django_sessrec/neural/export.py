"""A trained net as a recommender without torch: exported to ONNX, and compared with what was trained."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.ranker import SetRanker
from django_sessrec.neural.smoothing import smoothed
from django_sessrec.neural.warm_start import weights_of
from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.onnx_session import open_session
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.sessions import SessionLog

LENGTHS = (1, 2, 3, 7, 20)
TOLERANCE = 1e-4


class ExportMismatch(RuntimeError):  # noqa: N818
    """The exported net does not answer like the trained one, and must not be served."""


def exported(
    encoder: SessionEncoder, sessions: SessionLog, *, window: int, smoothing: float = 0.0
) -> OnnxRecommender:
    """The recommender of a trained `encoder`; ExportMismatch where the two disagree."""
    encoder = encoder.cpu().eval()
    with torch.no_grad():
        read = encoder.item_vectors(torch.arange(len(sessions.index))).numpy()
    items = smoothed(read, sessions, smoothing) if smoothing else read
    popularity = Popularity().fit(sessions).clicks
    net = OnnxRecommender(
        sessions.index,
        to_onnx(encoder),
        items,
        popularity,
        window=window,
        weights=weights_of(encoder),
        inputs=read,
    )
    check(net, encoder, sessions)
    return net


def to_onnx(encoder: SessionEncoder) -> bytes:
    """An ONNX file of (B, L) items, (B, L, D) vectors, (B,) lengths -> (B, D), for any B and L."""
    size = encoder.items.embedding_dim
    example = (torch.tensor([[1, 2, 1], [2, 1, 0]]), torch.randn(2, 3, size), torch.tensor([3, 2]))
    axes = {
        "items": {0: "sessions", 1: "clicks"},
        "vectors": {0: "sessions", 1: "clicks"},
        "lengths": {0: "sessions"},
        "vector": {0: "sessions"},
    }
    return _traced(_Encode(encoder), example, axes)


def export_ranker(ranker: SetRanker) -> bytes:
    """An ONNX file of (1, n, F) features, (1, n, n) cosines -> (1, n) scores, any n; or ExportMismatch."""
    ranker = ranker.eval()
    n = "candidates"
    axes = {"features": {1: n}, "cosines": {1: n, 2: n}, "scores": {1: n}}
    content = _traced(ranker, (ranker.mean.expand(1, 3, -1), torch.eye(3)[None]), axes)
    net = open_session(content, "ranker")
    rng = torch.Generator().manual_seed(0)
    for candidates in (1, 2, 7, 100):
        draw = torch.randn(1, candidates, len(ranker.mean), generator=rng)
        features = ranker.mean + ranker.deviation * draw
        vectors = nn.functional.normalize(draw, dim=-1)
        cosines = vectors @ vectors.transpose(1, 2)
        with torch.no_grad():
            trained = ranker(features, cosines).numpy()
        asked = {"features": features.numpy(), "cosines": cosines.numpy()}
        difference = float(np.abs(net.run(None, asked)[0] - trained).max())
        if not difference <= TOLERANCE:
            raise ExportMismatch(
                f"the exported and the trained ranker differ by up to {difference:.2g} (allowed "
                f"{TOLERANCE:.0e}) for {candidates} candidates"
            )
    return content


def _traced(net: nn.Module, example: tuple[Tensor, ...], axes: dict[str, dict[int, str]]) -> bytes:
    """The ONNX file of a net; axes: its inputs, then its output, each with what may be of any size."""
    *inputs, output = axes
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracing exporter is marked as old, but it takes 0.3 s where torch.export's takes 5 s and one
        # more dependency; the checks stand guard over what tracing may get wrong.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(),  # else the exporter leaves it in training mode
            example,
            file,
            dynamo=False,
            opset_version=17,
            input_names=inputs,
            output_names=[output],
            dynamic_axes=axes,
        )
    return file.getvalue()


def check(net: OnnxRecommender, encoder: SessionEncoder, sessions: SessionLog) -> None:
    """Compare scores for random sessions of LENGTHS clicks, with repeats, served singly and as a batch.

    Scores this near also rank alike, but for items that differ by less than float32 can tell.
    """
    present = np.unique(sessions.items)
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        pool = rng.choice(present, size=min(len(present), max(2, length)))
        asked = [rng.choice(pool, size=size).astype(np.int32) for size in (length, 1, length, 2)]
        singly = np.concatenate([net.vectors([session]) for session in asked])
        trained = trained_vectors(encoder, asked, net.window)
        for served in (singly, net.vectors(asked)):
            difference = float(np.abs((served - trained) @ net.items.T).max())
            if not difference <= TOLERANCE:  # NaN is no number up to anything
                raise ExportMismatch(
                    f"exported and trained scores differ by up to {difference:.2g} (allowed {TOLERANCE:.0e}) "
                    f"for sessions of {length} clicks; use operations that export at any length"
                )


def trained_vectors(encoder: SessionEncoder, sessions: Sequence[Rows], window: int) -> FloatArray:
    """(B,) sessions of at least one click -> (B, D), by the torch net, each session on its own."""
    with torch.no_grad():
        recent = [torch.from_numpy(session[-window:].astype(np.int64))[None] for session in sessions]
        vectors = [encoder(items, torch.tensor([items.shape[1]])) for items in recent]
        return torch.cat(vectors).numpy()


class _Encode(nn.Module):
    """`encode` as a module's forward, which is what torch exports."""

    def __init__(self, encoder: SessionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, items: Tensor, vectors: Tensor, lengths: Tensor) -> Tensor:
        return self.encoder.encode(items, vectors, lengths)
