"""The training dataset: clicks of the last weeks, read from Postgres as a session log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
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
from django_sessrec.training import bulk_read, click_files
from django_sessrec.training.click_files import NAMES
from django_sessrec.training.event_weights import BASKET, BOUGHT, EventWeights, furthest
from django_sessrec.training.session_order import SessionOrder, keep, room

LONGEST = 1_000  # clicks; a longer session is a bot's
DAY = 86_400
ASKED_AT_ONCE = 5_000  # ids: PostgreSQL takes 65,535 parameters in a statement, others fewer
CLICKED = ["view_item", "add_to_cart"]
IN_BASKETS = ["add_to_cart", "purchase"]
ALIKE = EventWeights()
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

# A day's clicks come as one value, as COPIED: at most 1 GB, so 31 million a day. Ids travel as 64-bit hashes;
# the event's id, a UUIDv7, carries the time and orders clicks of one millisecond; kinds are places in NAMES.
CLICKS = """
    SELECT string_agg(
        uuid_send(event_id) || int8send(uuid_hash_extended(session_id, 0))
        || int8send(hashtextextended(item_id, 0)) || int2send((array_position(%s, name) - 1)::smallint), ''
    )
    FROM sessrec_event
    WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> '' AND NOT bot
"""
COPIED = np.dtype(
    [("id_high", ">u8"), ("id_low", ">u8"), ("session", ">i8"), ("item", ">i8"), ("kind", ">i2")]
)
CLICK = np.dtype([("id_high", np.uint64), ("session", np.int64), ("row", np.int32), ("kind", np.int8)])


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


def read(
    start: datetime,
    end: datetime,
    *,
    from_files: bool = False,
    weights: EventWeights = ALIKE,
) -> tuple[SessionLog, TrainingCounts]:
    """Sessions of the clicks in [start, end): views, and baskets filled without a view before.

    from_files: read from Postgres only what has changed since this host's click files were written
    weights:    how much each click teaches; where not all do alike, orders are read as well

    Left out: bots, quarantined and withdrawn sessions, sensitive items, reloads, sessions of more than
    LONGEST clicks, and what bots push: an item beyond MAX_ITEM_SHARE, or where nothing speaks for it.
    """
    with SessionOrder(CLICK) as order:
        names, looks = (CLICKED, _without_repeats) if weights.alike else (NAMES, _looks)
        index, parts, left_out = _read(order, start, end, names, from_files=from_files)
        return _counted(index, map(looks, parts), len(order), left_out, weights)


def read_baskets(
    start: datetime, end: datetime, *, from_files: bool = False
) -> tuple[SessionLog, TrainingCounts]:
    """What each session put into its basket or bought in [start, end), each item once, the first time counts.

    Left out is what `read` leaves out.
    """
    with SessionOrder(CLICK) as order:
        index, parts, left_out = _read(order, start, end, IN_BASKETS, from_files=from_files)
        return _counted(index, map(_first_of_each, parts), len(order), left_out)


def read_for(model: type[Recommender], start: datetime, end: datetime) -> SessionLog:
    """What a recommender of this class is judged by: baskets where it has learnt from them, else sessions."""
    return (read_baskets if learns_from_baskets(model) else read)(start, end)[0]


def _read(
    order: SessionOrder, start: datetime, end: datetime, names: Sequence[str], *, from_files: bool
) -> tuple[ItemIndex, Iterator[NDArray[Any]], dict[str, int]]:
    """The items, the events of these names as CLICK in order of session and time, some sessions at a time,
    and what is left out, complete once all are through."""
    start, end = _whole_milliseconds(start), _whole_milliseconds(end)  # an event's id carries no more
    if from_files:
        return _from_files(order, start, end, names)
    index, hashes, rows, left_out = _items(start, end, names)
    for block in _clicks(start, end, names, hashes, rows):
        order.add(block)
    return index, order.parts(), left_out


def _whole_milliseconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def _counted(
    index: ItemIndex,
    parts: Iterable[NDArray[Any]],
    most: int,
    left_out: Mapping[str, int],
    weights: EventWeights = ALIKE,
) -> tuple[SessionLog, TrainingCounts]:
    """most: clicks of all parts together, or more."""
    session, rows, seconds = (
        room(most, np.int32),
        room(most, np.int32),
        room(most, np.int64),
    )  # numbers from 1
    weighed = [] if weights.alike else [room(most, np.float32)]
    n = n_sessions = endless_sessions = 0
    for part in parts:
        clicks, endless = _without_endless(part)
        endless_sessions += endless
        here = slice(n, n + len(clicks))
        begins = np.ones(len(clicks), np.bool_)
        begins[1:] = clicks["session"][1:] != clicks["session"][:-1]
        session[here] = n_sessions + np.cumsum(begins)
        rows[here] = clicks["row"]
        seconds[here] = (clicks["id_high"] >> np.uint64(16)) // 1000  # the first 48 bits of a UUIDv7
        for array in weighed:
            array[here] = weights.of(clicks)
        n, n_sessions = here.stop, n_sessions + int(np.count_nonzero(begins))
    day = np.floor_divide(seconds[:n], DAY, out=np.empty(n, np.int32), casting="unsafe")
    kept = within_bounds(day, session[:n], rows[:n], sessrec_settings.MAX_ITEM_SHARE)
    session, rows, seconds, *weighed = keep(kept, session, rows, seconds, *weighed)
    log = SessionLog.from_ordered(session, rows, seconds, index, *weighed, empty=room).compacted()
    counts = TrainingCounts(
        sessions=len(log),
        sessions_of_two=int(np.count_nonzero(log.lengths >= 2)),
        clicks=log.n_clicks,
        items=len(log.index) - 1,
        endless_sessions=endless_sessions,
        capped_clicks=n - log.n_clicks,
        **left_out,
    )
    return log, counts


def _items(
    start: datetime, end: datetime, names: Sequence[str]
) -> tuple[ItemIndex, NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """The items that may be trained on, hash (ascending) and row of each, and how many clicks are left out
    why."""
    with database.connection().cursor() as cursor:
        cursor.execute(ITEMS, [start, end, list(names)])
        found = cursor.fetchall()
    index, rows, sensitive = _rows_of([item_id for item_id, *_ in found])
    left_out = {
        "bot_clicks": sum(by_bots for *_, by_bots, _ in found),
        "quarantined_clicks": sum(quarantined for *_, quarantined in found),
        "sensitive_clicks": sum(each[2] for each, is_out in zip(found, sensitive, strict=True) if is_out),
    }
    codes = np.array([code for _, code, *_ in found], np.int64)
    kept = np.argsort(codes)
    kept = kept[~sensitive[kept]]
    return index, codes[kept], rows[kept], left_out


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
    """Blocks of CLICK, without those on other items and of sessions that are withdrawn or in quarantine.

    hashes, rows: (n_items,), of each item; the hashes ascend
    """
    left_out = np.concatenate(click_files.left_out())
    for block in _copied(start, end, names):
        place, known = click_files.places(hashes, block["item"])
        known &= ~np.isin(block["session"], left_out)
        clicks = np.empty(np.count_nonzero(known), CLICK)
        clicks["row"] = rows[place[known]]
        for name in ("id_high", "session", "kind"):
            clicks[name] = block[name][known]
        yield clicks


def _copied(start: datetime, end: datetime, names: Sequence[str]) -> Iterator[NDArray[Any]]:
    """Blocks of COPIED, one for each day."""
    while start < end:
        midnight = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=1)
        for block in bulk_read.values(CLICKS, [list(NAMES), start, min(end, midnight), list(names)]):
            yield np.frombuffer(block, COPIED)
        start = midnight


def _from_files(
    order: SessionOrder, start: datetime, end: datetime, names: Sequence[str]
) -> tuple[ItemIndex, Iterator[NDArray[Any]], dict[str, int]]:
    """As _read, from the click files."""
    withdrawn, quarantined = click_files.left_out()
    first, last = (np.uint64(round(moment.timestamp() * 1000)) for moment in (start, end))
    kinds = [NAMES.index(name) for name in names]
    counts = dict.fromkeys(("bot_clicks", "quarantined_clicks", "sensitive_clicks"), 0)
    items = _MetItems()
    for day in click_files.days(start, end):
        milliseconds = day.clicks["id_high"] >> np.uint64(16)
        wanted = (milliseconds >= first) & (milliseconds < last)
        wanted &= np.isin(day.clicks["kind"] & 3, kinds)
        wanted &= ~np.isin(day.clicks["session"], withdrawn)
        found = day.clicks[wanted]
        bot = found["kind"] >= click_files.BOT
        held = np.isin(found["session"], quarantined)
        counts["bot_clicks"] += int(np.count_nonzero(bot))
        counts["quarantined_clicks"] += int(np.count_nonzero(held & ~bot))
        found = found[~bot & ~held]
        clicks = np.empty(len(found), CLICK)
        clicks["row"] = items.places_of(day)[found["item"]]
        for name in ("id_high", "session", "kind"):
            clicks[name] = found[name]
        order.add(clicks)
    index, rows, sensitive = _rows_of(items.ids)

    def with_rows() -> Iterator[NDArray[Any]]:
        for clicks in order.parts():
            kept = clicks if not len(clicks) else clicks[~sensitive[clicks["row"]]]
            counts["sensitive_clicks"] += len(clicks) - len(kept)
            if len(kept):
                kept["row"] = rows[kept["row"]]
            yield kept

    return index, with_rows(), counts


class _MetItems:
    """The items of several days, in the order in which they were met: `ids`."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._codes = self._places = np.zeros(
            0, np.int64
        )  # of each its hash, ascending, and its place in `ids`

    def places_of(self, day: click_files.Day) -> NDArray[np.int64]:
        """(n_items,) the place in `ids` of each of the day's items; what is new among them is met now."""
        at, known = click_files.places(self._codes, day.codes)
        new = np.flatnonzero(~known)
        met = np.arange(len(self.ids), len(self.ids) + len(new))
        self.ids += [day.item_id(item) for item in new.tolist()]
        self._codes = np.insert(self._codes, at[new], day.codes[new])
        self._places = np.insert(self._places, at[new], met)
        return self._places[np.searchsorted(self._codes, day.codes)]


def _rows_of(ids: Sequence[str]) -> tuple[ItemIndex, NDArray[np.int64], NDArray[np.bool_]]:
    """The index of the items that may be trained on, the row of each id, and which are sensitive.

    The variants of a family are one item, under the family's id: a view of each counts for all.
    """
    sensitive = _sensitive(ids)
    kept = sorted(item_id for item_id in ids if item_id not in sensitive)
    family = _families(kept)
    row_of = {name: row for row, name in enumerate(dict.fromkeys(family.get(each, each) for each in kept), 1)}
    rows = [0 if each in sensitive else row_of[family.get(each, each)] for each in ids]
    return (
        ItemIndex(list(row_of)),
        np.array(rows, np.int64),
        np.array([e in sensitive for e in ids], np.bool_),
    )


def _is_first_look(clicks: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) whether each click is neither a reload nor a basket filled with the product just viewed; clicks in
    order of session and time."""
    same = np.zeros(len(clicks), np.bool_)
    same[1:] = (np.diff(clicks["session"]) == 0) & (np.diff(clicks["row"]) == 0)
    milliseconds = clicks["id_high"] >> np.uint64(16)
    at_once = np.diff(milliseconds, prepend=milliseconds[:1]) < RELOAD_MS
    first_looks: NDArray[np.bool_] = ~(same & ((clicks["kind"] == BASKET) | at_once))
    return first_looks


def _without_repeats(clicks: NDArray[Any]) -> NDArray[Any]:
    """The first looks; clicks in order of session and time."""
    return clicks[_is_first_look(clicks)]


def _looks(events: NDArray[Any]) -> NDArray[Any]:
    """The first looks, each with the furthest kind that its session has of its item; orders are none."""
    looks = events["kind"] != BOUGHT
    clicks, reached = events[looks], furthest(events)[looks]
    first = _is_first_look(clicks)
    found: NDArray[Any] = clicks[first]
    found["kind"] = reached[first]
    return found


def _without_endless(clicks: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Drop the sessions of more than LONGEST clicks, and count them; clicks in order of session."""
    _, lengths = np.unique(clicks["session"], return_counts=True)
    endless = lengths > LONGEST
    return clicks[~np.repeat(endless, lengths)], int(np.count_nonzero(endless))


def _first_of_each(clicks: NDArray[Any]) -> NDArray[Any]:
    """Each item of a session once, its first; clicks in order of session and time."""
    pair = np.stack([clicks["session"], clicks["row"].astype(np.int64)], axis=1)
    _, first = np.unique(pair, axis=0, return_index=True)
    return clicks[np.sort(first)]
