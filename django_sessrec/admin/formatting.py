"""Figures in the words and numbers of the reader's language, ready for a table or a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from django_sessrec import localised
from django_sessrec.currencies import decimals
from django_sessrec.measuring.comparison import Difference
from django_sessrec.measuring.definitions import DEFINITIONS
from django_sessrec.measuring.kpis import Kpi, Money
from django_sessrec.measuring.proportions import Rate

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
PER_CENT = "\N{NO-BREAK SPACE}%"


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure and the small print below it."""

    text: str
    note: str = ""


def colon(name: object, words: object) -> str:
    """The name and what is said of it, with the colon of the reader's language."""
    return f"{name}{_(':')} {words}"


def period(start: date, end: date) -> str:
    """Of which days the figures below are."""
    words = {"days": (end - start).days + 1, "day": date_format(end)}
    return _("In the %(days)d days up to %(day)s.") % words


def cells(kpi: Kpi) -> list[tuple[str, Cell]]:
    """A table's columns in order, each with its heading; what it earned first."""
    return [
        (name("direct"), _revenue(kpi)),
        (name("purchases"), Cell(whole(kpi.purchases))),
        (name("impressions"), Cell(whole(kpi.impressions), _short(kpi))),
        (name("viewability"), share(kpi.rate("viewability")) if kpi.seen_impressions else Cell(NONE)),
        (name("ctr"), share(kpi.rate("ctr"))),
        (name("viewable_ctr"), share(kpi.rate("viewable_ctr"))),
        (name("clicks"), Cell(whole(kpi.clicks))),
        (name("cart_rate"), share(kpi.rate("cart_rate"))),
        (name("conversion"), share(kpi.rate("conversion"))),
    ]


def cards(kpi: Kpi) -> list[tuple[str, Cell]]:
    """The period's headline figures, each with its heading; money first."""
    of_clicks = (_("%s of the clicks") % share(kpi.rate(rate)).text for rate in ("cart_rate", "conversion"))
    return [
        (name("direct"), _revenue(kpi)),
        (_("Share of sales"), _share_of_sales(kpi)),
        (name("assisted"), _assisted(kpi)),
        (name("impressions"), Cell(whole(kpi.impressions), _("%s products") % whole(kpi.items_shown))),
        (_("Seen for a second"), _seen(kpi)),
        (name("ctr"), share(kpi.rate("ctr"))),
        (
            name("clicks"),
            Cell(whole(kpi.clicks), _("%s of the shown products") % share(kpi.rate("item_ctr")).text),
        ),
        (name("cart_rate"), Cell(whole(kpi.carts), next(of_clicks))),
        (name("purchases"), Cell(whole(kpi.purchases), next(of_clicks))),
    ]


def name(key: str) -> str:
    """What people read for a KPI."""
    return str(DEFINITIONS[key].name)


def _short(kpi: Kpi) -> str:
    """Lists with fewer products than wanted; nothing where all are full."""
    part = kpi.rate("short_share").value
    return _("%s too short") % percent(part) if part else ""


def _seen(kpi: Kpi) -> Cell:
    """Nothing is known where the pages lack the script; that is not the same as nothing seen."""
    if not kpi.seen_impressions:
        return Cell(NONE, _("needs the script on the pages"))
    return Cell(
        percent(kpi.rate("viewability").value or 0),
        _("%s of these clicked") % share(kpi.rate("viewable_ctr")).text,
    )


def _revenue(kpi: Kpi) -> Cell:
    """Each currency's sum, and how far chance may have moved it."""
    margins = {currency: kpi.revenue_margin(currency) for currency in kpi.revenue}
    known = {currency: Decimal(margin) for currency, margin in margins.items() if margin is not None}
    return Cell(money(kpi.revenue), f"\N{PLUS-MINUS SIGN} {money(known)}" if known else "")


def _share_of_sales(kpi: Kpi) -> Cell:
    """Sales after a click of those that were recorded, and of all, for each currency in which it sold."""
    shares = {currency: each.share for currency, each in kpi.money.items()}
    recorded = {currency: each.recorded for currency, each in kpi.money.items()}
    notes = [_("of %s") % money(recorded)] if recorded else []
    return Cell(_shares(shares) or NONE, "; ".join(filter(None, (*notes, share_of_all(kpi.money)))))


def share_of_all(sold: Mapping[str, Money]) -> str:
    """Sales after a click beside all that the shop sold; empty where it counts no order without consent."""
    shares = _shares({currency: each.share_of_all for currency, each in sold.items()})
    return _("%s of all sales, also without consent") % shares if shares else ""


def _shares(shares: Mapping[str, float | None]) -> str:
    """Each currency's share, where it is known."""
    return ", ".join(
        f"{percent(share)} {currency}".rstrip() if len(shares) > 1 else percent(share)
        for currency, share in shares.items()
        if share is not None
    )


def _assisted(kpi: Kpi) -> Cell:
    """What was in a list before it was bought, without a click."""
    sums = {currency: each.assisted for currency, each in kpi.money.items() if each.assisted_orders}
    return Cell(money(sums), _("in a list before, not clicked") if sums else "")


def points(change: Difference | None) -> Cell:
    """How much higher a rate is than another, in percentage points, with the 95 % interval."""
    if change is None:
        return Cell(NONE)
    low, high = (signed(100 * end, 1) for end in (change.low, change.high))
    return Cell(_("%s points") % signed(100 * change.value, 1), f"{low} \N{EN DASH} {high}")


def share(rate: Rate) -> Cell:
    """A rate in per cent with its 95 % interval."""
    if rate.value is None:
        return Cell(NONE)
    return Cell(percent(rate.value), interval(rate))


def interval(rate: Rate) -> str:
    """From the lowest to the highest plausible share."""
    low, high = rate.interval
    return f"{percent(low)} \N{EN DASH} {percent(high)}"


def percent(part: float) -> str:
    """Per cent, with a second decimal where one would hide the figure."""
    return fixed(100 * part, 2 if 0 < part < 0.01 else 1) + PER_CENT


def signed(number: float | Decimal, places: int) -> str:
    """Rounded, with a plus before what is above zero; no sign before what is rounded to it."""
    rounded = round(Decimal(number), places)
    return f"{'+' if rounded > 0 else ''}{fixed(rounded, places)}"


def fixed(number: float | Decimal, places: int) -> str:
    """Rounded, with a sign before what is below zero."""
    rounded = round(Decimal(number), places)
    text = localised.number(abs(rounded), places)
    return f"{MINUS}{text}" if rounded < 0 else text


def whole(number: int) -> str:
    return fixed(number, 0)


def money(sums: Mapping[str, Decimal]) -> str:
    """Each currency's sum, with as many decimals as the currency has."""
    amounts = (
        f"{fixed(amount, decimals(currency))} {currency}".rstrip() for currency, amount in sums.items()
    )
    return ", ".join(amounts) or NONE
