"""Click files: the clicks of each day beside the artifacts, so that a training run reads from Postgres only
the days that have changed.

One file a day (UTC), of plain arrays: hashes of session and item, the time, what the click was, and each
item's id. No session's id is in it. A file is as its rows in Postgres are, or it is made anew:

    today and yesterday                  are made anew at each training run
    late, changed or deleted rows        told by the statistics of the day's partition, at each training run
    anything that these do not tell      one day a run, the one longest not compared, is compared by its
                                         number of clicks and their checksum; `verify` compares all
    an erased session                    the files that hold it are removed before the next training run, and
                                         by the training worker every five minutes
    a day past RETENTION_DAYS            its partition is dropped, and then its file
    a damaged file                       zip's checksums
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from django_sessrec import database
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys import artifact
from django_sessrec.training import bulk_read
from django_sessrec.training.abandoned import is_abandoned

log = logging.getLogger("django_sessrec")

FORMAT: Final = 1
NAMES: Final = ("view_item", "add_to_cart", "purchase")
BOT: Final = 4  # added to the place in NAMES
ONE: Final = timedelta(days=1)
SWEPT: Final = "swept"  # the file that says when erased sessions were last looked for
OVERLAP: Final = timedelta(minutes=10)  # a withdrawal is dated before it can be seen

# The clicks come as one value, as COPIED.
DAY: Final = """
    SELECT string_agg(
        uuid_send(event_id) || int8send(uuid_hash_extended(session_id, 0))
        || int8send(hashtextextended(item_id, 0))
        || int2send((array_position(%s, name) - 1 + CASE WHEN bot THEN 4 ELSE 0 END)::smallint), ''
    )
    FROM sessrec_event AS event
    WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> ''
      AND NOT EXISTS (SELECT FROM sessrec_withdrawal WHERE session_id = event.session_id)
"""
ITEMS: Final = """
    SELECT item_id, hashtextextended(item_id, 0) FROM sessrec_event
    WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> ''
    GROUP BY item_id
"""
CHECKSUM: Final = """
    SELECT count(*), coalesce(bit_xor(uuid_hash_extended(session_id, 0) # hashtextextended(item_id, 0)), 0)
    FROM sessrec_event AS event
    WHERE occurred_at >= %s AND occurred_at < %s AND name = ANY (%s) AND item_id <> ''
      AND NOT EXISTS (SELECT FROM sessrec_withdrawal WHERE session_id = event.session_id)
"""
# One query of the catalogue; a crash of the server sets the counters to 0, and the days are made anew.
STATES: Final = """
    SELECT child.relname, pg_stat_get_tuples_inserted(child.oid), pg_stat_get_tuples_updated(child.oid),
           pg_stat_get_tuples_deleted(child.oid)
    FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = 'sessrec_event'::regclass AND child.relname ~ '^sessrec_event_[0-9]{8}$'
"""
WITHDRAWN: Final = """
    SELECT uuid_hash_extended(session_id, 0) FROM sessrec_withdrawal WHERE withdrawn_at >= %s
"""
LEFT_OUT: Final = """
    SELECT uuid_hash_extended(session_id, 0), %s FROM sessrec_withdrawal
    UNION ALL
    SELECT uuid_hash_extended(session_id, 0), %s FROM sessrec_quarantine WHERE released_at IS NULL
"""
COPIED: Final = np.dtype(
    [("id_high", ">u8"), ("id_low", ">u8"), ("session", ">i8"), ("item", ">i8"), ("kind", ">i2")]
)
CLICK: Final = np.dtype(
    [("id_high", np.uint64), ("session", np.int64), ("item", np.int32), ("kind", np.uint8)]
)
Clicks = NDArray[Any]  # of CLICK
Codes = NDArray[np.int64]


class Day(NamedTuple):
    """One file, opened.

    clicks: (n_clicks,) CLICK, in order of session and time; bots' and quarantined ones included. `item` is a
            place in `codes`
    codes:  (n_items,) the hash of each item, ascending
    ids:    (n_bytes,) uint8, the items' ids one after the other; item n is ids[starts[n]:starts[n + 1]]
    facts:  what the file is made of, and when it was last compared with Postgres
    """

    clicks: Clicks
    codes: Codes
    ids: NDArray[np.uint8]
    starts: Codes
    facts: dict[str, Any]

    def item_id(self, item: int) -> str:
        return self.ids[self.starts[item] : self.starts[item + 1]].tobytes().decode()


class Sessions(NamedTuple):
    """Sorted hashes of sessions that teach nothing."""

    withdrawn: Codes
    quarantined: Codes


def folder() -> Path:
    return sessrec_settings.click_files


def days(start: datetime, end: datetime) -> Iterator[Day]:
    """The files of the days that [start, end) touches, the oldest first, each as Postgres has it now."""
    discard()
    states = _states()
    wanted = [day for day in sorted(states) if start.date() <= day <= (end - timedelta.resolution).date()]
    settled = _settled()
    kept = {day: facts for day in wanted if day <= settled and (facts := _unchanged(day, states))}
    if kept:
        longest = min(kept, key=lambda day: (kept[day]["compared_at"], day))
        if not compare(longest):
            del kept[longest]
    for day in wanted:
        found = _opened(day) if day in kept else None
        yield found or _written(day, states[day])


def _settled() -> date:
    """The last day whose rows the statistics tell of: those of younger ones may still be on their way."""
    return database.now().date() - 2 * ONE


def _unchanged(day: date, states: Mapping[date, Sequence[int]]) -> dict[str, Any] | None:
    """The facts of the day's file where nothing tells that its rows have changed since it was made."""
    facts = _facts(day)
    return facts if facts and facts["state"] == states.get(day) else None


def left_out() -> Sessions:
    """The sessions whose clicks are not trained on, however old the files."""
    with database.connection().cursor() as cursor:
        cursor.execute(LEFT_OUT, [True, False])
        rows = cursor.fetchall()
    by_kind = [sorted(code for code, withdrawn in rows if withdrawn is kind) for kind in (True, False)]
    return Sessions(*(np.array(codes, np.int64) for codes in by_kind))


def discard() -> list[date]:
    """Remove the files of days that were dropped, whose rows were deleted or changed, or that hold a session
    that was erased since; returns the days."""
    if not folder().exists():
        return []
    now, states, removed = database.now(), _states(), []
    erased = _withdrawn_since(_swept_at() - OVERLAP)
    for day, path in _files():
        facts = _facts(day)
        stays = facts is not None and day in states and facts["state"][1:] == states[day][1:]
        if not stays or _holds(day, erased):
            path.unlink(missing_ok=True)
            removed.append(day)
    for path in filter(is_abandoned, folder().glob(".*.npz")):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # they are looked for once more, then
        (folder() / SWEPT).write_text(now.isoformat(), "ascii")
    return removed


def _swept_at() -> datetime:
    """When erased sessions were last looked for in the files."""
    try:
        return datetime.fromisoformat((folder() / SWEPT).read_text("ascii"))
    except (OSError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC) + OVERLAP


def _withdrawn_since(moment: datetime) -> Codes:
    with database.connection().cursor() as cursor:
        cursor.execute(WITHDRAWN, [moment])
        return np.array([code for (code,) in cursor.fetchall()], np.int64)


def _holds(day: date, sessions: Codes) -> bool:
    """Whether the file has clicks of one of the sessions; one that does not open is as good as that."""
    if not len(sessions):
        return False
    found = _opened(day)
    return found is None or bool(np.isin(found.clicks["session"], sessions).any())


def tidy() -> list[date]:
    """`discard`, or remove every file once CLICK_FILES is no longer set; returns the days removed."""
    if sessrec_settings.CLICK_FILES:
        return discard()
    days = [day for day, _ in _files()]
    discard_all()
    return days


def discard_all() -> int:
    """Remove every file, half-written ones included; returns how many days there were."""
    found = _files()
    for path in folder().glob("*"):
        path.unlink(missing_ok=True)
    return len(found)


def compare(day: date) -> bool:
    """Whether the file holds as many clicks as Postgres, with the same checksum; it is removed if not."""
    found = _opened(day)
    with database.connection().cursor() as cursor:
        cursor.execute(CHECKSUM, [*_bounds(day), list(NAMES)])
        count, checksum = cursor.fetchone()
    if found is not None and (len(found.clicks), _checksum(found)) == (count, checksum):
        _keep(day, found._replace(facts=found.facts | {"compared_at": _now()}))
        return True
    log.warning("the clicks of %s are not those of the database, and are read again", day)
    _path(day).unlink(missing_ok=True)
    return False


def verify() -> dict[date, bool]:
    """Compare with Postgres the files that the next training run would read; day -> whether it was right.

    Wrong ones are removed. Those of days with late rows, and of today and yesterday, are made anew anyway.
    """
    discard()
    states, settled = _states(), _settled()
    return {day: compare(day) for day, _ in _files() if day <= settled and _unchanged(day, states)}


def oldest() -> date | None:
    """The oldest day of which there is a file."""
    return min((day for day, _ in _files()), default=None)


def _written(day: date, state: Sequence[int]) -> Day:
    """The day as Postgres has it, kept as a file. `state` was read before: what came since shows."""
    copied = _copied(day)
    with database.connection().cursor() as cursor:
        cursor.execute(ITEMS, [*_bounds(day), list(NAMES)])
        items = sorted(cursor.fetchall(), key=itemgetter(1))
    codes = np.array([code for _, code in items], np.int64)
    place, known = places(codes, copied["item"])  # unknown where its rows were deleted in between
    clicks = np.empty(np.count_nonzero(known), CLICK)
    clicks["item"] = place[known]
    for name in ("id_high", "session", "kind"):
        clicks[name] = copied[name][known]
    encoded = [item_id.encode() for item_id, _ in items]
    found = Day(
        clicks[np.lexsort((clicks["id_high"], clicks["session"]))],
        codes,
        np.frombuffer(b"".join(encoded), np.uint8),
        np.concatenate(([0], np.cumsum([len(each) for each in encoded], dtype=np.int64))).astype(np.int64),
        {"format": FORMAT, "state": list(state), "compared_at": _now()},
    )
    _keep(day, found)
    return found


def places(codes: Codes, wanted: NDArray[Any]) -> tuple[Codes, NDArray[np.bool_]]:
    """The place of each wanted one among the codes, which ascend, and whether it is among them."""
    place = np.searchsorted(codes, wanted)
    known = place < len(codes)
    known[known] = codes[place[known]] == wanted[known]
    return place, known


def _keep(day: date, what: Day) -> None:
    """Write the file; a full disk is only a warning, because all of it is in Postgres."""
    try:
        _write(day, what)
    except OSError as error:
        log.warning("the clicks of %s could not be kept, and will be read again: %s", day, error)


def _write(day: date, what: Day) -> None:
    """Write the file, at once and readable by this user alone."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=".", suffix=".npz", dir=folder())
    try:
        with os.fdopen(descriptor, "wb") as file:
            facts = np.frombuffer(json.dumps(what.facts).encode(), np.uint8)
            arrays = {"clicks": what.clicks, "codes": what.codes, "ids": what.ids, "starts": what.starts}
            np.savez(file, allow_pickle=False, facts=facts, **arrays)
        Path(unfinished).replace(_path(day))
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _opened(day: date) -> Day | None:
    """The file, or None where it is missing, damaged or of another version."""
    found = _arrays(day, "clicks", "codes", "ids", "starts", "facts")
    return None if found is None or found["clicks"].dtype != CLICK else Day(**found)


def _facts(day: date) -> dict[str, Any] | None:
    """What the file is made of, without reading its clicks; None as of _opened."""
    found = _arrays(day, "facts")
    return None if found is None else found["facts"]


def _arrays(day: date, *names: str) -> dict[str, Any] | None:
    try:
        # Opened here: NumPy leaves a file open that it does not understand.
        with _path(day).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found: dict[str, Any] = {name: arrays[name] for name in names}
            found["facts"] = json.loads(found["facts"].tobytes())
            return found if found["facts"]["format"] == FORMAT else None
    except artifact.DAMAGED:
        return None


def _files() -> list[tuple[date, Path]]:
    """Every file by its day, the oldest first."""
    found = (path for path in folder().glob("*.npz") if re.fullmatch(r"\d{8}\.npz", path.name))
    return sorted((_day(path.stem), path) for path in found)


def _path(day: date) -> Path:
    return folder() / f"{day:%Y%m%d}.npz"


def _states() -> dict[date, list[int]]:
    """Day -> rows ever inserted into, updated and deleted in its partition."""
    with database.connection().cursor() as cursor:
        cursor.execute(STATES)
        return {_day(name[-8:]): list(counters) for name, *counters in cursor.fetchall()}


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + ONE


def _checksum(day: Day) -> int:
    return int(np.bitwise_xor.reduce(day.clicks["session"] ^ day.codes[day.clicks["item"]]))


def _now() -> str:
    return database.now().isoformat()


def _copied(day: date) -> NDArray[Any]:
    """The day's clicks as COPIED."""
    names = list(NAMES)
    return np.frombuffer(b"".join(bulk_read.values(DAY, [names, *_bounds(day), names])) or b"", COPIED)
