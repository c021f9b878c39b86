"""The training dataset: clicks of the last weeks, read from Postgres as a session log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from numpy.typing import NDArray

from django_sessrec import database
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.poisoning import within_bounds
from django_sessrec.recsys.recommender import Recommender, learns_from_baskets
from django_sessrec.recsys.sessions import SessionLog

LONGEST = 1_000  # clicks; a longer session is a bot's
DAY_MS = 86_400_000
ASKED_AT_ONCE = 5_000  # ids: PostgreSQL takes 65,535 parameters in a statement, others fewer
CLICKED = ["view_item", "add_to_cart"]
BOUGHT = ["add_to_cart", "purchase"]
RELOAD_MS = 1_000  # the same product again within this time is a reload or a double click, not interest

ITEMS = """
    SELECT item_id, hashtextextended(item_id, 0), count(*) FILTER (WHERE NOT bot AND held.session_id IS NULL),
           count(*) FILTER (WHERE bot), count(*) FILTER (WHERE NOT bot AND held.session_id IS NOT NULL)
    FROM sessrec_event event
    LEFT JOIN sessrec_quarantine held ON held.session_id = event.session_id AND held.released_at IS NULL
    WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> ''
    GROUP BY item_id
    ORDER BY item_id COLLATE "C"
"""

# Every column has a fixed width, so that NumPy reads the rows where they lie. Ids travel as 64-bit hashes;
# the event's id, a UUIDv7, carries the time and orders clicks of one millisecond.
CLICKS = """
    COPY (
        SELECT event_id, uuid_hash_extended(session_id, 0), hashtextextended(item_id, 0), name = 'add_to_cart'
        FROM sessrec_event AS event
        WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> '' AND NOT bot
          AND NOT EXISTS (SELECT FROM sessrec_withdrawal WHERE session_id = event.session_id)
          AND NOT EXISTS (
              SELECT FROM sessrec_quarantine WHERE session_id = event.session_id AND released_at IS NULL
          )
    ) TO STDOUT (FORMAT BINARY)
"""
COPIED = np.dtype(
    [
        *[("columns", ">i2"), ("width_1", ">i4"), ("id_high", ">u8"), ("id_low", ">u8")],
        *[("width_2", ">i4"), ("session", ">i8"), ("width_3", ">i4"), ("item", ">i8")],
        *[("width_4", ">i4"), ("cart", "?")],
    ]
)
COPY_HEADER = 19  # bytes
CLICK = np.dtype([("id_high", np.uint64), ("session", np.int64), ("row", np.int32), ("cart", np.bool_)])
BLOCK = 200_000  # rows held as COPIED before they are shrunk to CLICK


def _labelled(label: Promise) -> Any:
    return field(metadata={"label": label})


@dataclass(frozen=True, slots=True)
class TrainingCounts:
    """Counts of the clicks that a training run read and excluded; each field carries its label."""

    sessions: int = _labelled(_("Sessions"))
    sessions_of_two: int = _labelled(_("of two clicks or more"))  # the others teach only what is popular
    clicks: int = _labelled(_("Clicks"))
    items: int = _labelled(_("Products"))
    bot_clicks: int = _labelled(_("Bots' clicks left out"))
    quarantined_clicks: int = _labelled(_("Clicks of quarantined sessions left out"))
    capped_clicks: int = _labelled(_("Clicks on pushed products left out"))  # recsys.poisoning
    sensitive_clicks: int = _labelled(_("Clicks on sensitive products left out"))
    endless_sessions: int = _labelled(_("Endless sessions left out"))  # of more than LONGEST clicks

    @classmethod
    def labels(cls) -> dict[str, str]:
        """Each field's label, in the language that is active."""
        return {field.name: str(field.metadata["label"]) for field in fields(cls)}

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def read(start: datetime, end: datetime) -> tuple[SessionLog, TrainingCounts]:
    """Sessions of the clicks in [start, end): views, and baskets filled without a view before.

    Left out: bots, quarantined and withdrawn sessions, sensitive items, reloads, sessions of more than
    LONGEST clicks, and what bots push: an item beyond MAX_ITEM_SHARE, or where nothing speaks for it.
    """
    index, clicks, left_out = _read(start, end, CLICKED)
    return _counted(index, _without_repeats(clicks), left_out)


def read_baskets(start: datetime, end: datetime) -> tuple[SessionLog, TrainingCounts]:
    """What each session put into its basket or bought in [start, end), each item once, the first time counts.

    Left out is what `read` leaves out.
    """
    index, clicks, left_out = _read(start, end, BOUGHT)
    pair = np.stack([clicks["session"], clicks["row"].astype(np.int64)], axis=1)
    _, first = np.unique(pair, axis=0, return_index=True)
    return _counted(index, clicks[np.sort(first)], left_out)


def read_for(model: type[Recommender], start: datetime, end: datetime) -> SessionLog:
    """What a recommender of this class is judged by: baskets where it has learnt from them, else sessions."""
    return (read_baskets if learns_from_baskets(model) else read)(start, end)[0]


def _read(
    start: datetime, end: datetime, names: Sequence[str]
) -> tuple[ItemIndex, NDArray[Any], dict[str, int]]:
    """The items, the events of these names as CLICK in order of session and time, and what is left out."""
    index, hashes, rows, left_out = _items(start, end, names)
    clicks = np.concatenate([np.zeros(0, CLICK), *_clicks(start, end, names, hashes, rows)])
    return index, clicks[np.lexsort((clicks["id_high"], clicks["session"]))], left_out


def _counted(
    index: ItemIndex, clicks: NDArray[Any], left_out: Mapping[str, int]
) -> tuple[SessionLog, TrainingCounts]:
    clicks, endless_sessions = _without_endless(clicks)
    clicks, capped_clicks = _without_excess(clicks)
    milliseconds = (clicks["id_high"] >> np.uint64(16)).astype(np.int64)  # the first 48 bits of a UUIDv7
    log = SessionLog.from_rows(clicks["session"], clicks["row"], milliseconds // 1000, index).compacted()
    counts = TrainingCounts(
        sessions=len(log),
        sessions_of_two=int(np.count_nonzero(log.lengths >= 2)),
        clicks=log.n_clicks,
        items=len(log.index) - 1,
        endless_sessions=endless_sessions,
        capped_clicks=capped_clicks,
        **left_out,
    )
    return log, counts


def _items(
    start: datetime, end: datetime, names: Sequence[str]
) -> tuple[ItemIndex, NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """The items that may be trained on, hash and row of each, and how many clicks are left out why.

    The variants of a family are one item, under the family's id: a view of each counts for all.
    """
    with database.connection().cursor() as cursor:
        cursor.execute(ITEMS, [start, end, list(names)])
        found = cursor.fetchall()
    sensitive = _sensitive([item_id for item_id, *_ in found])
    kept = [(item_id, code) for item_id, code, *_ in found if item_id not in sensitive]
    left_out = {
        "bot_clicks": sum(by_bots for *_, by_bots, _ in found),
        "quarantined_clicks": sum(quarantined for *_, quarantined in found),
        "sensitive_clicks": sum(clicks for item_id, _, clicks, *_ in found if item_id in sensitive),
    }
    family = _families([item_id for item_id, _ in kept])
    names = [family.get(item_id, item_id) for item_id, _ in kept]
    row_of = {name: row for row, name in enumerate(dict.fromkeys(names), 1)}
    return (
        ItemIndex(list(row_of)),
        np.array([code for _, code in kept], np.int64),
        np.array([row_of[name] for name in names], np.int64),
        left_out,
    )


def _families(item_ids: Sequence[str]) -> dict[str, str]:
    """Id -> family of the items that are variants, asked in questions that any database takes."""
    catalogue = get_catalogue()
    found: dict[str, str] = {}
    if catalogue.has_families:
        for first in range(0, len(item_ids), ASKED_AT_ONCE):
            found |= catalogue.families(item_ids[first : first + ASKED_AT_ONCE])
    return found


def _sensitive(item_ids: Sequence[str]) -> set[str]:
    """What the shop's catalogue keeps out, asked in questions that any database takes."""
    catalogue = get_catalogue()
    return {
        each
        for first in range(0, len(item_ids), ASKED_AT_ONCE)
        for each in catalogue.sensitive(item_ids[first : first + ASKED_AT_ONCE])
    }


def _clicks(
    start: datetime,
    end: datetime,
    names: Sequence[str],
    hashes: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Iterator[NDArray[Any]]:
    """Blocks of CLICK; hashes, rows: (n_items,), of each item. Clicks on other items are dropped."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    for block in _copied(start, end, names):
        place = np.searchsorted(ordered, block["item"]).clip(max=max(0, len(ordered) - 1))
        known = ordered[place] == block["item"] if len(ordered) else np.zeros(len(block), np.bool_)
        clicks = np.empty(np.count_nonzero(known), CLICK)
        clicks["row"] = rows[order[place[known]]]
        for name in ("id_high", "session", "cart"):
            clicks[name] = block[name][known]
        yield clicks


def _copied(start: datetime, end: datetime, names: Sequence[str]) -> Iterator[NDArray[Any]]:
    """Blocks of COPIED, straight from the driver: Django's cursor knows no COPY with parameters."""
    connection = database.connection()
    connection.ensure_connection()
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(CLICKS, [start, end, list(names)]) as copy,
    ):
        messages, header = iter(copy), COPY_HEADER
        while block := b"".join(islice(messages, BLOCK)):  # a message is a row; the first has the header
            rows = (len(block) - header) // COPIED.itemsize  # the last is followed by a trailer of 2 bytes
            yield np.frombuffer(block, COPIED, rows, header)
            header = 0


def _without_repeats(clicks: NDArray[Any]) -> NDArray[Any]:
    """Drop reloads, and baskets filled with the product just viewed; clicks in order of session and time."""
    same = np.zeros(len(clicks), np.bool_)
    same[1:] = (np.diff(clicks["session"]) == 0) & (np.diff(clicks["row"]) == 0)
    milliseconds = clicks["id_high"] >> np.uint64(16)
    at_once = np.diff(milliseconds, prepend=milliseconds[:1]) < RELOAD_MS
    return clicks[~(same & (clicks["cart"] | at_once))]


def _without_endless(clicks: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Drop the sessions of more than LONGEST clicks, and count them; clicks in order of session."""
    _, lengths = np.unique(clicks["session"], return_counts=True)
    endless = lengths > LONGEST
    return clicks[~np.repeat(endless, lengths)], int(np.count_nonzero(endless))


def _without_excess(clicks: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Drop clicks on items that bots push, and count them."""
    day = (clicks["id_high"] >> np.uint64(16)).astype(np.int64) // DAY_MS
    rows = clicks["row"].astype(np.int64)
    kept = within_bounds(day, clicks["session"], rows, sessrec_settings.MAX_ITEM_SHARE)
    return clicks[kept], int(np.count_nonzero(~kept))
