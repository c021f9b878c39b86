"""Figures in words and numbers."""

from decimal import Decimal

from django_sessrec.admin.formatting import NONE, money


def test_an_amount_has_the_decimals_of_its_currency():
    sums = {"EUR": Decimal("1234.5"), "JPY": Decimal(1234), "KWD": Decimal("1.5"), "": Decimal("0.1")}
    assert money(sums) == "1,234.50 EUR, 1,234 JPY, 1.500 KWD, 0.10"
    assert money({}) == NONE
