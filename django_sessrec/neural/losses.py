"""Losses that rank the item clicked next above the others.

Every loss takes vectors (N, D) of sessions, targets (N, D) of the items clicked next, negatives (K, D)
shared by the batch, and weights (N,), and returns the weighted mean, ().
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST_LOGIT = 60  # exp of it, summed over a million items, is still a float32
CHUNK_LOGITS = {"cpu": 2**22, "cuda": 2**26}
"""Logits that are held at a time: fewer add up more gradients, more fall out of a processor's cache."""
ROUND = 64
"""Targets are padded to a multiple: oneDNN keeps a megabyte of compiled code for each size that it meets."""


def bounded_softmax(
    vectors: Tensor, targets: Tensor, negatives: Tensor, weights: Tensor, *, n_items: int
) -> Tensor:
    """Softmax over the target and K uniform negatives, each standing for (n_items - 1) / K items.

    A target that is drawn counts among the negatives too, so that the loss is a little above the full one for
    targets that rank high. With K = n_items the negatives must be all the items, and it is the full softmax.
    For bounded logits only (cosines times a scale): it takes no maximum, and multiplies in bf16 where the
    processor can. Gradients are made in the forward pass, while the logits are in the cache.
    """
    sampled = len(negatives) < n_items
    share = (n_items - 1) / len(negatives) if sampled else 1.0
    return _Softmax.apply(vectors, targets, negatives, weights, share, float(sampled), True)


def full_softmax(vectors: Tensor, targets: Tensor, items: Tensor, weights: Tensor) -> Tensor:
    """Softmax over all items (V, D), for logits of any size; made in the same way, with a maximum."""
    return _Softmax.apply(vectors, targets, items, weights, 1.0, 0.0, False)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        targets: Tensor,
        negatives: Tensor,
        weights: Tensor,
        share: float,
        own: float,
        bounded: bool,
    ) -> Tensor:
        n_targets = len(vectors)
        dtype = fast_dtype(vectors.device)
        padding = (0, 0, 0, -n_targets % ROUND)
        vectors, targets = F.pad(vectors, padding), F.pad(targets, padding)
        weights = F.pad(weights / n_targets, padding[2:])  # zeros: what is padded changes nothing
        fast_vectors, fast_negatives = vectors.to(dtype), negatives.to(dtype)
        hits = (vectors * targets).sum(1)  # (N,)
        highest = torch.zeros_like(hits)
        partition = own * hits.exp() if bounded else torch.zeros_like(hits)
        grad_vectors = torch.empty_like(vectors)
        grad_negatives = torch.zeros_like(negatives)
        chunk_size = min(max(1, CHUNK_LOGITS[vectors.device.type] // len(negatives)), len(vectors))
        logits = torch.empty(chunk_size, len(negatives), dtype=dtype, device=vectors.device)
        for start in range(0, len(vectors), chunk_size):
            rows = slice(start, start + chunk_size)
            chunk = fast_vectors[rows]
            torch.mm(chunk, fast_negatives.t(), out=logits[: len(chunk)])
            if not bounded:
                highest[rows] = logits[: len(chunk)].amax(1)
                logits[: len(chunk)] -= highest[rows, None].to(dtype)
            exponentials = logits[: len(chunk)].exp_()
            partition[rows] += share * exponentials.sum(1)
            pull = (weights[rows] * share / partition[rows])[:, None]
            grad_vectors[rows] = (exponentials @ fast_negatives) * pull
            grad_negatives += exponentials.t() @ (vectors[rows] * pull).to(dtype)
        push = (weights * (own * (hits - highest).exp() / partition - 1))[:, None]
        grad_vectors += push * targets
        ctx.save_for_backward(grad_vectors[:n_targets], (push * vectors)[:n_targets], grad_negatives)
        return (weights * (partition.log() + highest - hits)).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * saved for saved in ctx.saved_tensors), None, None, None, None)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the processor multiplies matrices in it, else fp32."""
    has_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
    return torch.bfloat16 if has_bf16 else torch.float32


def _cpu_has_bf16() -> bool:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()
