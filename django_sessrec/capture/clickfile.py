"""Click files of other systems, CSV or Parquet, as rows of the event store: the same file twice is once."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from django_sessrec import database
from django_sessrec.capture.event import CLOCK_SKEW, NAMES, WITHOUT_ITEM, EventError, clean_item_id
from django_sessrec.capture.rows import EventRow
from django_sessrec.conf import sessrec_settings
from django_sessrec.ids import EPOCH
from django_sessrec.models import EventName, Source

TIME_UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}
MILLISECOND = timedelta(milliseconds=1)
DELIMITERS = ",;\t|"
FIRST_IMPORTED = "SELECT min(occurred_at) FROM sessrec_event WHERE session_id = %s AND source = %s"
LONGEST_HEADER = 1_000_000  # characters: a file without lines is not read into memory whole
BATCH = 10_000  # rows of a Parquet file read at once


class UnusableFile(ValueError):  # noqa: N818
    """The file as a whole can't be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns say what. Without a time column the clicks get a second each, from `start` on."""

    session_id: str = "session_id"
    item_id: str = "item_id"
    time: str | None = None
    time_unit: str = "s"  # "s", "ms" or "us" since 1970, "iso" for text; a Parquet timestamp is what it is
    event_name: str | None = None
    start: datetime | None = None

    def __post_init__(self) -> None:
        if (self.time is None) == (self.start is None):
            raise UnusableFile("give --time COLUMN, or --start DATE where no column has the time")


@dataclass(slots=True)
class ClickFile:
    """A file and how to read it; `shift` is added to the time of every click."""

    path: Path
    columns: Columns
    shift: timedelta = timedelta(0)
    read: int = field(default=0, init=False)  # rows so far
    share: float = field(default=0.0, init=False)  # of the file so far, 0..1

    def newest(self) -> datetime | None:
        """The time of the newest click, not shifted; None where no row has a time."""
        return max(
            (at for line, values in self._lines() if (at := self._readable_time(line, values))), default=None
        )

    def earlier_shift(self) -> timedelta | None:
        """The shift that an earlier import of this file was given; None where there was none."""
        for line, values in self._lines():
            if at := self._readable_time(line, values):
                session = session_uuid(_text(values, self.columns.session_id))
                with database.connection().cursor() as cursor:
                    cursor.execute(FIRST_IMPORTED, [session, Source.IMPORT])
                    [stored] = cursor.fetchone()
                return stored and timedelta(days=round((stored - at) / timedelta(days=1)))
        return None

    def events(self, reject: Callable[[int, EventError], None]) -> Iterator[EventRow]:
        """Rows for bulk_copy.copy_events; a broken one is rejected with its line and the reason."""
        before, tie = None, 0
        for line, values in self._lines():
            self.read += 1
            try:
                click = self._click(line, values)
            except EventError as reason:
                reject(line, reason)
                continue
            # Clicks of one millisecond keep the order of the file; the same click twice stays the same.
            tie = 0 if before is None or before[:2] != click[:2] else tie + (before != click)
            before = click
            session, at, name, item_id = click
            event_id = _event_id(at, tie, f"{session}\0{name}\0{item_id}")
            yield EventRow(event_id, at, session_uuid(session), name, item_id)

    def _click(self, line: int, values: Mapping[str, Any] | Exception) -> tuple[str, datetime, str, str]:
        """Session, time, event and item of a row, checked."""
        if isinstance(values, Exception):
            raise EventError("row", str(values))
        session = _text(values, self.columns.session_id)
        name = self._name(values)
        item_id = _text(values, self.columns.item_id, needed=name not in WITHOUT_ITEM)
        at = _storable(self._time(line, values), self.shift)
        return session, at, name.value, clean_item_id(item_id, required=name not in WITHOUT_ITEM)

    def _name(self, values: Mapping[str, Any]) -> EventName:
        if self.columns.event_name is None:
            return EventName.VIEW_ITEM
        name = _text(values, self.columns.event_name)
        if name not in NAMES:
            raise EventError("name", f"event {name!r} is none of {', '.join(EventName.values)}")
        return NAMES[name]

    def _time(self, line: int, values: Mapping[str, Any]) -> datetime:
        if self.columns.start is not None:
            return self.columns.start + timedelta(seconds=line)
        value = values.get(self.columns.time)
        if not isinstance(value, datetime):
            value = _parsed(value, self.columns.time_unit)
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value - timedelta(microseconds=value.microsecond % 1000)  # an id carries no more

    def _readable_time(self, line: int, values: Any) -> datetime | None:
        try:
            return None if isinstance(values, Exception) else self._time(line, values)
        except EventError:
            return None

    def _lines(self) -> Iterator[tuple[int, Mapping[str, Any] | Exception]]:
        """(line, values by column) of each row, or (line, what is wrong with it)."""
        wanted = [self.columns.session_id, self.columns.item_id, self.columns.time, self.columns.event_name]
        read = _parquet if self.path.suffix == ".parquet" else _csv
        for line, share, values in read(self.path, [name for name in wanted if name]):
            self.share = share
            yield line, values


def session_uuid(source_session: str) -> UUID:
    """The id that a session of another system always gets here."""
    return uuid5(NAMESPACE_OID, f"django_sessrec {source_session}")


def _csv(path: Path, columns: list[str]) -> Iterator[tuple[int, float, Mapping[str, Any] | Exception]]:
    size = max(1, path.stat().st_size)
    with path.open("rb") as binary, TextIOWrapper(binary, "utf-8-sig", "surrogateescape", newline="") as text:
        header = text.readline(LONGEST_HEADER)
        delimiter = max(DELIMITERS, key=header.count)
        names = _names(header, delimiter, path)
        _require(columns, names, path)
        reader = csv.reader(text, delimiter=delimiter)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                yield reader.line_num + 1, binary.tell() / size, problem
                continue
            if len(fields) == len(names):
                values: Mapping[str, Any] | Exception = dict(zip(names, fields, strict=True))
            elif not fields:  # an empty line
                continue
            else:
                values = ValueError(f"{len(fields)} fields, the header has {len(names)}")
            yield reader.line_num + 1, binary.tell() / size, values


def _names(header: str, delimiter: str, path: Path) -> list[str]:
    if not header.strip():
        raise UnusableFile(
            f"{path} is empty, or its first line is: the names of the columns must stand there"
        )
    try:
        header.encode()  # what was not UTF-8 has become lone surrogates
        return next(csv.reader([header], delimiter=delimiter))
    except (UnicodeEncodeError, csv.Error) as problem:
        raise UnusableFile(f"{path} is no CSV file in UTF-8: its first line can't be read") from problem


def _parquet(path: Path, columns: list[str]) -> Iterator[tuple[int, float, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as missing:
        raise UnusableFile("Parquet needs pyarrow: pip install django-sessrec[parquet]") from missing
    try:
        file = ParquetFile(path)
    except ArrowInvalid as problem:
        raise UnusableFile(f"{path} is no Parquet file: {problem}") from problem
    with file:
        _require(columns, file.schema_arrow.names, path)
        rows = (row for batch in file.iter_batches(BATCH, columns=columns) for row in batch.to_pylist())
        for line, values in enumerate(rows, 1):
            yield line, line / file.metadata.num_rows, values


def _require(columns: list[str], present: list[str], path: Path) -> None:
    if missing := [name for name in columns if name not in present]:
        raise UnusableFile(f"{path} has no column {', '.join(missing)}; it has {', '.join(present)[:500]}")


def _text(values: Mapping[str, Any], column: str, *, needed: bool = True) -> str:
    value = values.get(column)
    text = "" if value is None else str(value).strip()
    if needed and not text:
        raise EventError("empty", f"{column} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EventError("encoding", f"{column} {text[:40]!r} is not UTF-8") from None
    return text


def _parsed(value: Any, unit: str) -> datetime:
    try:
        return datetime.fromisoformat(value) if unit == "iso" else EPOCH + float(value) * TIME_UNITS[unit]
    except (TypeError, ValueError, OverflowError):
        raise EventError("time", f"time {value!r} is not {unit!r}") from None


def _storable(original: datetime, shift: timedelta) -> datetime:
    """The shifted time, if rows of it are kept: an older one would be deleted by the next upkeep."""
    try:
        at = original + shift
    except OverflowError:
        raise EventError("time", f"time {original} can't be shifted by {shift.days} days") from None
    now, days = datetime.now(UTC), sessrec_settings.RETENTION_DAYS
    if at > now + CLOCK_SKEW:
        raise EventError("time", f"time {at:%Y-%m-%d %H:%M:%S} lies in the future")
    if days and at < now - timedelta(days=days):
        raise EventError(
            "time",
            f"time {at:%Y-%m-%d %H:%M:%S} is older than RETENTION_DAYS ({days}): use --shift-to-now",
        )
    return at


def _event_id(at: datetime, tie: int, what: str) -> UUID:
    """A UUIDv7 of this time: `tie` below the milliseconds, and a hash where others are random."""
    hashed = (
        int.from_bytes(hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 2
    )
    return UUID(int=(at - EPOCH) // MILLISECOND << 80 | 7 << 76 | (tie & 0xFFF) << 64 | 2 << 62 | hashed)
