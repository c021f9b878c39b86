"""The KPIs: each one's name, formula in words, unit, direction and counts, said once.

The admin's tables and cards, CSV files, comments of the SQL views and docs/explanation/kpis.md come from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from django.utils.functional import Promise, lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_sessrec.conf import sessrec_settings

Unit = Literal["count", "share", "money"]
Better = Literal["more", "less", "neither"]


def _total() -> str:
    """Sales are the shop's where every order is counted, else only those of sessions with consent."""
    every = sessrec_settings.COUNT_ALL_ORDERS
    return gettext("Sales of the shop") if every else gettext("Recorded sales")


@dataclass(frozen=True, slots=True)
class Definition:
    """One KPI.

    key:     its name in the CSV, the SQL views and the API
    name:    what people read
    formula: how it is counted, in words
    better:  which direction is good news
    parts:   a share's hits and trials; else empty
    """

    key: str
    name: str | Promise
    formula: str | Promise
    unit: Unit
    better: Better = "more"
    parts: tuple[str, str] | tuple[()] = ()


# Each a column of sessrec_dailylists and an attribute of Kpi.
COUNTED: Final = (
    Definition(
        "impressions",
        _("Lists shown"),
        _("lists that pages held, of sessions with consent; a list counts on the day on which it was shown"),
        "count",
        "neither",
    ),
    Definition(
        "items_shown",
        _("Products shown"),
        _("products in these lists, each as often as shown"),
        "count",
        "neither",
    ),
    Definition(
        "seen_impressions",
        _("Lists seen"),
        _("lists of which half was in view for one second; needs the script on the page"),
        "count",
    ),
    Definition("clicked_impressions", _("Lists clicked"), _("lists with at least one click"), "count"),
    Definition("seen_and_clicked", _("Lists seen and clicked"), _("lists that were both"), "count"),
    Definition("clicks", _("Clicks"), _("products that were clicked, once for each list"), "count"),
    Definition(
        "carts", _("Put into the basket"), _("clicked products that were then put into the basket"), "count"
    ),
    Definition("purchases", _("Purchases"), _("clicked products that were then bought"), "count"),
    Definition(
        "short_impressions",
        _("Short lists"),
        _("lists with fewer products than their placement asks for"),
        "count",
        "less",
    ),
)

SHARES: Final = (
    Definition(
        "ctr",
        _("Click-through rate"),
        _("lists with at least one click / lists shown"),
        "share",
        parts=("clicked_impressions", "impressions"),
    ),
    Definition(
        "viewability",
        _("Seen"),
        _("lists seen / lists shown"),
        "share",
        parts=("seen_impressions", "impressions"),
    ),
    Definition(
        "viewable_ctr",
        _("Clicked once seen"),
        _("lists seen with at least one click / lists seen"),
        "share",
        parts=("seen_and_clicked", "seen_impressions"),
    ),
    Definition(
        "item_ctr",
        _("Products clicked"),
        _("clicked products / products shown"),
        "share",
        parts=("clicks", "items_shown"),
    ),
    Definition(
        "cart_rate",
        _("In the basket"),
        _("clicked products put into the basket / clicked products"),
        "share",
        parts=("carts", "clicks"),
    ),
    Definition(
        "conversion",
        _("Bought"),
        _("clicked products that were bought / clicked products"),
        "share",
        parts=("purchases", "clicks"),
    ),
    Definition(
        "short_share",
        _("Short of products"),
        _("short lists / lists shown"),
        "share",
        "less",
        parts=("short_impressions", "impressions"),
    ),
)

# Each once for every currency, never added up, and an attribute of Money.
MONEY: Final = (
    Definition(
        "direct",
        _("Sales after a click"),
        _("order lines of products clicked in a list before, less their refunds, on the day of the order"),
        "money",
    ),
    Definition(
        "assisted",
        _("Sales after a list"),
        _("order lines of products that a list held before and nobody clicked, less their refunds"),
        "money",
    ),
    Definition(
        "total", lazy(_total, str)(), _("all order lines that were recorded, less their refunds"), "money"
    ),
    Definition(
        "direct_refunded",
        _("Refunded after a click"),
        _("refunds of order lines after a click, at any age, on the day of their order"),
        "money",
        "less",
    ),
    Definition(
        "assisted_refunded",
        _("Refunded after a list"),
        _("refunds of order lines after a list, at any age, on the day of their order"),
        "money",
        "less",
    ),
    Definition(
        "total_refunded",
        _("Refunded"),
        _("refunds of all order lines, at any age, on the day of their order"),
        "money",
        "less",
    ),
    Definition(
        "without_session",
        _("Sales without consent"),
        _("order lines of visitors without consent, less their refunds; needs COUNT_ALL_ORDERS"),
        "money",
        "neither",
    ),
)

# Each a column of sessrec_dailyshop and an attribute of Sessions.
SESSIONS: Final = (
    Definition("sessions", _("Sessions"), _("sessions with consent, without bots and quarantine"), "count"),
    Definition("with_list", _("Sessions with a list"), _("sessions that a list was shown to"), "count"),
    Definition(
        "with_basket", _("Sessions with a basket"), _("sessions that put a product into the basket"), "count"
    ),
    Definition("with_order", _("Sessions with an order"), _("sessions that bought something"), "count"),
    Definition("bots", _("Bots"), _("sessions of bots that identify themselves"), "count", "less"),
    Definition(
        "quarantined", _("Quarantined sessions"), _("sessions whose clicks no person makes"), "count", "less"
    ),
)

# Each a column of sessrec_dailypages and an attribute of Pages.
PAGES: Final = (
    Definition("with_consent", _("Pages with consent"), _("tracked pages of sessions with consent"), "count"),
    Definition(
        "without_consent",
        _("Pages without consent"),
        _("tracked pages of visitors who were not asked or said no"),
        "count",
        "less",
    ),
    Definition("staff", _("Pages of staff"), _("tracked pages of signed-in staff"), "count", "neither"),
    Definition(
        "bots", _("Pages of bots"), _("tracked pages of bots that identify themselves"), "count", "less"
    ),
)

DEFINITIONS: Final[Mapping[str, Definition]] = {
    each.key: each for each in (*COUNTED, *SHARES, *MONEY, *SESSIONS)
}
COUNTS: Final = tuple(each.key for each in COUNTED)
RATES: Final[Mapping[str, tuple[str, str]]] = {
    each.key: (each.parts[0], each.parts[1]) for each in SHARES if each.parts
}  # name -> hits, trials
