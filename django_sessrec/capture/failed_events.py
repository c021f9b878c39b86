"""Failed events: events that could not be stored, kept with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder

from django_sessrec.capture.fast_query import call_with_deadline

STORE_FAILED: Final = "sessrec_store_failed($1::jsonb, $2::boolean)"
MAX_DETAIL: Final = 500  # characters

# What payloads raise that are not of this version, or of nobody's.
NOT_READABLE: Final = (ValueError, KeyError, TypeError, AttributeError, ValidationError)
Row = TypeVar("Row")
Reasoned = tuple[Mapping[str, Any], str, str]  # payload, code, detail


def store_failed(
    payloads: Iterable[Mapping[str, Any]], code: str, detail: str = "", *, failed: bool = False
) -> int:
    """Keep what is not stored, with the reason, unless its session was withdrawn; return how many were kept.

    Raises django.db.Error where the database can't be reached.

    failed: the rows are good and the database did not take them; else they are wrong input, refused
    """
    return store_each_failed([(each, code, detail) for each in payloads], failed=failed)


def store_each_failed(reasoned: Iterable[Reasoned], *, failed: bool = False) -> int:
    """The same of payloads that have a code and a detail each, in one transaction that waits for the disk.

    Nobody sends them again after a crash of Postgres, as an outbox does with what it has written.
    """
    rows = [
        {
            "code": code,
            "detail": _storable(detail[:MAX_DETAIL]),
            "session_id": _uuid(payload.get("session_id")),
            "payload": _storable(dict(payload)),
        }
        for payload, code, detail in reasoned
    ]
    if not rows:
        return 0
    payload = json.dumps(rows, cls=DjangoJSONEncoder)
    kept = call_with_deadline(STORE_FAILED, payload, str(not failed), durable=True)
    return int(str(kept))


def read_each(read: Callable[[Mapping[str, Any]], Row], payloads: Any) -> tuple[list[Row], list[Reasoned]]:
    """The rows that the payloads hold, and those that can't be read, as another version's may be.

    Of the latter, one whose session is known is kept whole: it can be erased, and replayed by the version
    that wrote it. Of the others nothing is kept but their size, for whose they are nobody can tell.

    read: event_from or impression_from
    """
    rows, unreadable = [], []
    for payload in payloads if isinstance(payloads, list | tuple) else [payloads]:
        try:
            rows.append(read(payload))
        except NOT_READABLE as problem:
            unreadable.append(_unreadable(payload, problem))
    return rows, unreadable


def without_content(sizes: Mapping[str, int], problem: Exception) -> Reasoned:
    """What nobody can read and nobody could erase: its parts' sizes in characters, and the kind of error."""
    return {part: f"{size} characters" for part, size in sizes.items()}, "unreadable", type(problem).__name__


def _unreadable(payload: Any, problem: Exception) -> Reasoned:
    try:
        UUID(payload["session_id"])
    except NOT_READABLE:
        return without_content({"row": len(str(payload))}, problem)
    return payload, "unwritable", f"{type(problem).__name__}: {problem}"


def _uuid(value: Any) -> str | None:
    return str(UUID(str(value))) if value else None


def _storable(value: Any) -> Any:
    """The value with what Postgres can't keep in text, NUL and lone surrogates, replaced."""
    if isinstance(value, str):
        return value.replace("\x00", "?").encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_storable(str(key)): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list | tuple) else value
