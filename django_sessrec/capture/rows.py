"""The columns of an event's row: their names, order and SQL types, stated once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import DataError

from django_sessrec.capture.event import encodable, to_payload
from django_sessrec.models import Event, Impression, Source

Rows = Sequence[Event | Impression]


class EventRow(NamedTuple):
    """A row of sessrec_event, by default one of an import."""

    event_id: UUID  # UUIDv7, of the time in occurred_at
    occurred_at: datetime
    session_id: UUID
    name: str
    item_id: str
    impression_id: UUID | None = None
    position: int | None = None
    quantity: int = 1
    price: Decimal | None = None
    currency: str = ""
    source: str = Source.IMPORT.value
    bot: bool = False


SQL_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "event_id": "uuid",
        "occurred_at": "timestamptz",
        "session_id": "uuid",
        "name": "text",
        "item_id": "text",
        "impression_id": "uuid",
        "position": "int2",
        "quantity": "int4",
        "price": "numeric",
        "currency": "text",
        "source": "text",
        "bot": "bool",
    }
)
NULLABLE: Final = frozenset(
    {"impression_id", "position", "price"}
    | {"run_id", "wanted", "session_clicks", "session_intents", "duration_us", "propensities"}
)
_values = attrgetter(*EventRow._fields)

# What sessrec_store_list takes, in its order: a list's impression, and the view of its page's item.
OF_BOTH: Final[Mapping[str, str]] = MappingProxyType({"session_id": "uuid", "bot": "bool"})
OF_LIST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "impression_id": "uuid",
        "shown_at": "timestamptz",
        "placement": "text",
        "model": "text",
        "run_id": "int8",
        "step": "text",
        "experiment": "text",
        "variant": "text",
        "item_ids": "text[]",
        "reasons": "text[]",
        "propensities": "float8[]",
        "wanted": "int2",
        "session_clicks": "int2",
        "session_intents": "int2",
        "duration_us": "int4",
    }
)
OF_VIEW: Final[Mapping[str, str]] = MappingProxyType(
    {name: each for name, each in SQL_TYPES.items() if name not in OF_BOTH}
)
_list_values = attrgetter(*OF_BOTH, *OF_LIST)
_view_values = attrgetter(*OF_VIEW)


def row_of(event: Event) -> EventRow:
    """The event's row."""
    return EventRow._make(_values(event))


def time_of_row(row: Event | Impression) -> datetime:
    """The time that decides about the row's partition."""
    at: datetime = row.occurred_at if isinstance(row, Event) else row.shown_at
    return at


def as_parameters(event: Event) -> list[str | None]:
    """The event's values as text, in the order of EventRow."""
    texts = [None if each is None else str(each) for each in _values(event)]
    _refuse_unwritable("".join(filter(None, texts)), zip(EventRow._fields, texts, strict=True))
    return texts


def of_one_page(impression: Impression, event: Event) -> bool:
    """Whether the two have in common what sessrec_store_list takes once, as those of most pages have."""
    return (impression.session_id, impression.bot) == (event.session_id, event.bot)


def as_list_parameters(impression: Impression, event: Event | None = None) -> list[str | None]:
    """The values of a list, and of its page's event, as text, in the order of sessrec_store_list."""
    given = [*_list_values(impression), *(_view_values(event) if event else (None,) * len(OF_VIEW))]
    texts = [each if each is None or type(each) is str else _as_text(each) for each in given]
    names = (*OF_BOTH, *OF_LIST, *(OF_VIEW if event else ()))
    _refuse_unwritable("".join(filter(None, texts)), zip(names, texts, strict=False))
    return texts


def _as_text(value: Any) -> str:
    return _as_array(value) if type(value) is list else str(value)


def _as_array(values: Iterable[Any]) -> str:
    """Postgres's own form of an array."""
    texts = [None if each is None else str(each).replace("\\", r"\\").replace('"', r"\"") for each in values]
    return "{" + ",".join(["NULL" if each is None else f'"{each}"' for each in texts]) + "}"


def as_json(rows: Iterable[Event | Impression]) -> list[str]:
    """Impressions and events as two JSON arrays, by their ids: two writers of the same rows never wait for
    each other."""
    ordered = sorted(rows, key=attrgetter("pk"))
    return [
        json.dumps([_checked_payload(row) for row in ordered if isinstance(row, model)])
        for model in (Impression, Event)
    ]


def _checked_payload(row: Event | Impression) -> dict[str, Any]:
    payload = to_payload(row)
    texts = [each for each in payload.values() if type(each) is str]
    if type(row) is Impression:
        texts += [*row.item_ids, *row.reasons]
    _refuse_unwritable("".join(texts), payload.items())
    return payload


def _refuse_unwritable(text: str, values: Iterable[tuple[str, Any]]) -> None:
    """DataError for what Postgres would refuse with the row's values in its log."""
    if not encodable(text):
        raise DataError("Postgres keeps no text with NUL or half of a surrogate pair")
    if missing := [name for name, value in values if value is None and name not in NULLABLE]:
        raise DataError(f"no value for {', '.join(missing)}")
