"""Export of trained networks to ONNX, compared with what was trained."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from django_sessrec.neural.encoder import SessionEncoder
from django_sessrec.neural.errors import ExportMismatch
from django_sessrec.neural.smoothing import smoothed
from django_sessrec.neural.warm_start import weights_of
from django_sessrec.recsys.items import FloatArray, Rows
from django_sessrec.recsys.onnx_recommender import OnnxRecommender
from django_sessrec.recsys.popularity import Popularity
from django_sessrec.recsys.sessions import SessionLog

LENGTHS = (1, 2, 3, 7, 20)
TOLERANCE = 1e-4


def exported(
    encoder: SessionEncoder, sessions: SessionLog, *, window: int, smoothing: float = 0.0
) -> OnnxRecommender:
    """The recommender of a trained `encoder`, which needs no torch; ExportMismatch if the two disagree.

    window: clicks that it reads. smoothing: weight of the neighbours' vectors (smoothing.py), 0 for none.
    """
    encoder = encoder.cpu().eval()
    with torch.no_grad():
        read = encoder.item_vectors(torch.arange(len(sessions.index))).numpy()
    items = smoothed(read, sessions, smoothing) if smoothing else read
    popularity = Popularity().fit(sessions).clicks
    recommender = OnnxRecommender(
        sessions.index,
        to_onnx(encoder),
        items,
        popularity,
        window=window,
        weights=weights_of(encoder),
        inputs=read,
    )
    check(recommender, encoder, sessions)
    return recommender


def to_onnx(encoder: SessionEncoder) -> bytes:
    """The encoder as an ONNX file: (B, L) items, (B, L, D) vectors, (B,) lengths -> (B, D), any B and L."""
    size = encoder.items.embedding_dim
    example = (torch.tensor([[1, 2, 1], [2, 1, 0]]), torch.randn(2, 3, size), torch.tensor([3, 2]))
    axes = {
        "items": {0: "sessions", 1: "clicks"},
        "vectors": {0: "sessions", 1: "clicks"},
        "lengths": {0: "sessions"},
        "vector": {0: "sessions"},
    }
    return traced(_Encode(encoder), example, axes)


def traced(network: nn.Module, example: tuple[Tensor, ...], axes: Mapping[str, dict[int, str]]) -> bytes:
    """The ONNX file of a network.

    example: its inputs, of any size
    axes:    names of the inputs and, last, of the output, each with the names of its dynamic dimensions
    """
    *inputs, output = axes
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracing exporter is marked as old, but it takes 0.3 s where torch.export's takes 5 s and one
        # more dependency; `require_match` refuses what tracing got wrong.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),  # else the exporter leaves it in training mode
            example,
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=17,
            input_names=inputs,
            output_names=[output],
            dynamic_axes=axes,
        )
    return file.getvalue()


def check(recommender: OnnxRecommender, encoder: SessionEncoder, sessions: SessionLog) -> None:
    """Compare scores of random sessions of LENGTHS clicks, with repeats, served singly and as a batch.

    Scores this close also rank alike, except for items that float32 can't tell apart. Raises ExportMismatch.
    """
    present = np.unique(sessions.items)
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        pool = rng.choice(present, size=min(len(present), max(2, length)))
        asked = [rng.choice(pool, size=size).astype(np.int32) for size in (length, 1, length, 2)]
        singly = np.concatenate([recommender.vectors([session]) for session in asked])
        trained = trained_vectors(encoder, asked, recommender.window)
        for served in (singly, recommender.vectors(asked)):
            require_match(
                (served - trained) @ recommender.items.T,
                f"scores for sessions of {length} clicks",
            )


def require_match(differences: NDArray[np.floating], what: str) -> None:
    """Raise ExportMismatch unless all `differences` between exported and trained are within TOLERANCE."""
    largest = float(np.abs(differences).max())
    if not largest <= TOLERANCE:  # also for NaN
        raise ExportMismatch(
            f"exported and trained {what} differ by up to {largest:.2g} (allowed {TOLERANCE:.0e}); use "
            "operations that export at any size"
        )


def trained_vectors(encoder: SessionEncoder, sessions: Sequence[Rows], window: int) -> FloatArray:
    """(B,) sessions of at least one click -> (B, D), by the torch network, each session on its own."""
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
