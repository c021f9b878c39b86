"""Engine 2: networks on torch, one file a paper, for the training worker alone. No Django.

The estimators are imported when they are first named, so that naming one loads no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django_sessrec.neural.openmp import bound_spinning

if TYPE_CHECKING:
    from django_sessrec.neural.gru4rec import GRU4Rec
    from django_sessrec.neural.ranked import Ranked
    from django_sessrec.neural.sasrec import SASRec
    from django_sessrec.neural.srgnn import SRGNN

bound_spinning()  # before any of these imports torch

__all__ = ["SRGNN", "GRU4Rec", "Ranked", "SASRec"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
