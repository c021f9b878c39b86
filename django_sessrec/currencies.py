"""Decimals of the currencies of ISO 4217: most have two."""

from __future__ import annotations

from typing import Final

USUAL: Final = 2
WITHOUT: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
        *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
WITH_THREE: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def decimals(currency: str) -> int:
    """How many decimals an amount of it is written with; two where it is not known, or not named."""
    if currency in WITHOUT:
        return 0
    return 3 if currency in WITH_THREE else USUAL
