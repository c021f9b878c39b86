"""The SQL views for BI tools: sums by day in a schema that stays, without personal data.

A group of fewer than SMALLEST sessions, orders or lists is not told from the others of its day: such groups
are one row, "other", so that sums of lists, clicks and money are those of the admin to the cent. Sessions and
buyers of two groups count in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import override

from django_sessrec.measuring.daily import FINEST, key_of
from django_sessrec.measuring.definitions import COUNTED, MONEY, PAGES, SESSIONS, Definition

SMALLEST: Final = 5

GROUP_WORDS: Final[Mapping[str, str]] = {
    "day": "day in the shop's time zone",
    "placement": f"where the list stood; 'other': groups of fewer than {SMALLEST}; '': without a list",
    "model": "the model that made it; '': below the model steps",
    "run_id": "number of the training run; 0: none",
    "step": "which step of the fallback answered",
    "experiment": "the experiment that the session took part in",
    "variant": "and its variant",
    "currency": "ISO 4217; money of different currencies is never added up",
    "item_id": f"the shop's id of the product; 'other': products of fewer than {SMALLEST} lists and orders",
}


@dataclass(frozen=True, slots=True)
class View:
    """A view: the table that it reads, its columns in order with what they mean, and the query."""

    name: str
    table: str
    words: str
    columns: Mapping[str, str]
    sql: str


def _words(definitions: Sequence[Definition]) -> dict[str, str]:
    with override("en"):
        return {each.key: str(each.formula) for each in definitions}


def _merged(table: str, keys: Sequence[str], sums: Sequence[str], small: str, where: str) -> str:
    """The rows of a table, those that are small as one for each day (and currency)."""
    kept = {"day": "day", "currency": "currency", "run_id": "CASE WHEN small THEN 0 ELSE run_id END"}
    named = [
        f"{kept[key]} AS {key}" if key in kept else f"CASE WHEN small THEN 'other' ELSE {key} END AS {key}"
        for key in keys
    ]
    return (
        f"SELECT {', '.join(named)}, {', '.join(f'sum({each}) AS {each}' for each in sums)} "  # noqa: S608
        f"FROM (SELECT *, {small} AS small FROM {table} WHERE {where}) AS rows "
        f"GROUP BY {', '.join(str(number) for number in range(1, len(keys) + 1))}"
    )


IN_EACH: Final = "counted in each group: do not add up groups; {} of sessrec_bi_sessions counts each once"
ORDERS: Final = {
    name: f"{words}; {IN_EACH.format('with_order')}"
    for name, words in {
        "direct_orders": "buyers of the day with a line of the group after a click",
        "assisted_orders": "buyers of the day with a line of the group after a list",
        "orders": "buyers of the day with a line of the group",
    }.items()
}
ITEMS: Final = {
    "shown": "lists that held the product",
    "seen": "of these, lists that were seen",
    "clicked": "clicks on it, once for each list",
    "bought": "order lines of it after a click",
    "sold": "order lines of it in all",
}
_finest = f"grouped_by = '{key_of(FINEST)}'"
_lists = {
    "sessions": f"sessions that the lists were shown to; {IN_EACH.format('with_list')}",
    **_words(COUNTED),
}
_sales = {**ORDERS, **_words(MONEY)}
_sessions = _words(SESSIONS)
_pages = _words(PAGES)
_list_keys = ("day", *FINEST)


def _described(keys: Sequence[str], sums: Mapping[str, str]) -> dict[str, str]:
    return {**{key: GROUP_WORDS[key] for key in keys}, **sums}


VIEWS: Final[Sequence[View]] = (
    View(
        "sessrec_bi_lists",
        "sessrec_dailylists",
        "lists and what visitors did with them, on the day on which the list was shown",
        _described(_list_keys, _lists),
        _merged("sessrec_dailylists", _list_keys, list(_lists), f"sessions < {SMALLEST}", _finest),
    ),
    View(
        "sessrec_bi_sales",
        "sessrec_dailyrevenue",
        "what orders brought, on the day of the order; rows without a placement are orders without a list",
        _described((*_list_keys, "currency"), _sales),
        _merged(
            "sessrec_dailyrevenue",
            (*_list_keys, "currency"),
            list(_sales),
            f"orders < {SMALLEST}",
            _finest,
        ),
    ),
    View(
        "sessrec_bi_sessions",
        "sessrec_dailyshop",
        "the shop's sessions, by what became of them",
        _described(("day",), _sessions),
        f"SELECT day, {', '.join(_sessions)} FROM sessrec_dailyshop",  # noqa: S608
    ),
    View(
        "sessrec_bi_items",
        "sessrec_dailyitem",
        "what happened to each product: lists on the day they were shown, orders on the day of the order",
        _described(("day", "item_id"), ITEMS),
        _merged(
            "sessrec_dailyitem",
            ("day", "item_id"),
            list(ITEMS),
            f"greatest(shown, sold) < {SMALLEST}",
            "true",
        ),
    ),
    View(
        "sessrec_bi_pages",
        "sessrec_dailypages",
        "tracked pages by consent, counted as they were shown",
        _described(("day",), _pages),
        f"SELECT day, {', '.join(_pages)} FROM sessrec_dailypages",  # noqa: S608
    ),
)


def make_views(connection: BaseDatabaseWrapper) -> None:
    """Make the views, or replace them, with a comment on each view and column; grants on them stay.

    Postgres refuses another order of columns, or fewer: new ones come last.
    """
    with connection.cursor() as cursor:
        for view in VIEWS:
            cursor.execute(f'CREATE OR REPLACE VIEW "{view.name}" AS {view.sql}')
            cursor.execute(f"COMMENT ON VIEW \"{view.name}\" IS '{_quoted(view.words)}'")
            for column, words in view.columns.items():
                cursor.execute(f'COMMENT ON COLUMN "{view.name}"."{column}" IS \'{_quoted(words)}\'')


def drop_views(connection: BaseDatabaseWrapper) -> None:
    """Drop the views, before a migration is taken back that made what they read."""
    with connection.cursor() as cursor:
        for view in VIEWS:
            cursor.execute(f'DROP VIEW IF EXISTS "{view.name}"')


def _quoted(text: str) -> str:
    return text.replace("'", "''")
