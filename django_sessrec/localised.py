"""Numbers as the reader's language writes them."""

from __future__ import annotations

from decimal import Decimal

from django.utils.formats import number_format


def number(value: float | Decimal, places: int = 0) -> str:
    """Rounded, which number_format is not: it cuts off."""
    return number_format(round(Decimal(value), places), decimal_pos=places, force_grouping=True)


def significant(value: float, digits: int = 6) -> str:
    """With so many digits that count, and no zeros at the end."""
    return number_format(Decimal(f"{value:.{digits}g}"))
