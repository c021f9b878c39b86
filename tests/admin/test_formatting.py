"""Figures in words and numbers."""

from decimal import Decimal

from django.utils import translation

from django_sessrec.admin.experiment_words import amount
from django_sessrec.admin.formatting import NONE, colon, fixed, money, percent, signed, whole


def test_an_amount_has_the_decimals_of_its_currency():
    sums = {"EUR": Decimal("1234.5"), "JPY": Decimal(1234), "KWD": Decimal("1.5"), "": Decimal("0.1")}
    assert money(sums) == "1,234.50 EUR, 1,234 JPY, 1.500 KWD, 0.10"
    assert money({}) == NONE


def test_what_is_below_zero_has_one_sign_on_every_page():
    assert fixed(-1234.56, 1) == "\N{MINUS SIGN}1,234.6"
    assert signed(-0.42, 1) == "\N{MINUS SIGN}0.4"
    assert whole(-1234) == "\N{MINUS SIGN}1,234"
    assert percent(-0.125) == "\N{MINUS SIGN}12.5\N{NO-BREAK SPACE}%"
    assert money({"EUR": Decimal("-3.5")}) == "\N{MINUS SIGN}3.50 EUR"
    assert amount("revenue", -0.1234, "EUR", signed=True) == "\N{MINUS SIGN}12.34 EUR"


def test_what_rounds_to_zero_has_no_sign():
    assert [signed(value, 1) for value in (0.04, -0.04, 0.0)] == ["0.0"] * 3
    assert fixed(-0.04, 1) == "0.0"
    assert amount("clicks", -0.00001, "", signed=True) == "0.00"


def test_a_colon_stands_as_in_the_readers_language():
    assert colon("model", "old") == "model: old"
    with translation.override("fr"):
        assert colon("modèle", "vieux") == "modèle\N{NO-BREAK SPACE}: vieux"
