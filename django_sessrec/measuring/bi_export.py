"""Export of the SQL views as CSV and Parquet through Django's storages: a file for each view and month."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Any, Final

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db.models import Max, Min
from django.utils import timezone

from django_sessrec import database
from django_sessrec.figure_models import RolledUpDay
from django_sessrec.measuring.days import ONE
from django_sessrec.measuring.export import harmless
from django_sessrec.measuring.views import VIEWS, View

STORAGE: Final = "sessrec_export"  # key in settings.STORAGES
LATELY: Final = timedelta(days=2)  # a night without an export is made good by the next one

Rows = Sequence[Sequence[Any]]
Days = Iterable[Rows]  # of a view, read day by day: a month may not fit into memory


class ExportError(Exception):
    """An export that can't be made; the message names the remedy."""


def configured() -> bool:
    """Whether the project names a storage for exports."""
    return STORAGE in settings.STORAGES


def export(
    since: date | None = None, until: date | None = None, formats: Sequence[str] | None = None
) -> Iterator[str]:
    """Write every view's months; yield each file's name, `sessrec_bi_sales/2026-11.csv`, once it is written.

    since, until: the months of these days; by default those of which sums were made in the last two days
    formats: of FORMATS; by default CSV, and Parquet where pyarrow is installed

    A file that is there is replaced. Raises ExportError where the project names no storage, or lacks pyarrow.
    """
    if not configured():
        raise ExportError(
            f'settings.STORAGES names no storage for exports: add "{STORAGE}": {{"BACKEND": ..., "OPTIONS": '
            "...}, which no web server serves"
        )
    writers = _writers(formats)
    storage = storages[STORAGE]
    for first in _months(since, until):
        for view in VIEWS:
            for suffix, write in writers.items():
                days = _days(view, first)
                if (earliest := next(days, None)) is None:
                    break
                name = f"{view.name}/{first:%Y-%m}.{suffix}"
                with TemporaryFile() as file:
                    write(view, chain([earliest], days), file)
                    file.seek(0)
                    _replace(storage, name, File(file))
                yield name


def _months(since: date | None, until: date | None) -> list[date]:
    """The first days of the months to write."""
    days = RolledUpDay.objects.all()
    if since is None and until is None:
        days = days.filter(rolled_up_at__gte=timezone.now() - LATELY)
        return sorted({day.replace(day=1) for day in days.values_list("day", flat=True)})
    known = days.aggregate(first=Min("day"), last=Max("day"))
    if known["first"] is None:
        return []
    month, last = max(since or known["first"], known["first"]).replace(day=1), until or known["last"]
    months = []
    while month <= min(last, known["last"]):
        months.append(month)
        month = _next_month(month)
    return months


def _next_month(first: date) -> date:
    return (first + 31 * ONE).replace(day=1)


def _days(view: View, first: date) -> Iterator[Rows]:
    """The rows of each day of a month that has any."""
    columns = ", ".join(view.columns)
    query = f"SELECT {columns} FROM {view.name} WHERE day = %s ORDER BY {columns}"  # noqa: S608
    day = first
    while day < _next_month(first):
        with database.connection().cursor() as cursor:
            cursor.execute(query, [day])
            if rows := cursor.fetchall():
                yield rows
        day += ONE


def _csv(view: View, days: Days, file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(view.columns)
    for rows in days:
        writer.writerows([harmless(cell) for cell in row] for row in rows)
    text.detach()  # else the file is closed with it


def _parquet(view: View, days: Days, file: IO[bytes]) -> None:
    import pyarrow
    from pyarrow import parquet

    types: Mapping[type, Any] = {
        date: pyarrow.date32(),
        str: pyarrow.string(),
        int: pyarrow.int64(),
        Decimal: pyarrow.decimal128(21, 3),
    }
    writer = None
    for rows in days:
        columns: Iterable[Sequence[Any]] = zip(*rows, strict=True)
        table = pyarrow.table(
            {
                name: pyarrow.array(values, types[type(values[0])])
                for name, values in zip(view.columns, columns, strict=True)
            }
        )
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


FORMATS: Final[Mapping[str, Callable[[View, Days, IO[bytes]], None]]] = {"csv": _csv, "parquet": _parquet}


def _writers(formats: Sequence[str] | None) -> Mapping[str, Callable[[View, Days, IO[bytes]], None]]:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        if formats and "parquet" in formats:
            raise ExportError("Parquet needs pyarrow: pip install django-sessrec[parquet]") from None
        return {"csv": _csv}
    return {name: FORMATS[name] for name in formats or FORMATS}


def _replace(storage: Storage, name: str, content: File[Any]) -> None:
    """Most storages would write a second file beside one that is there."""
    storage.delete(name)
    saved = storage.save(name, content)
    if saved != name and storage.exists(name):  # another export has written it meanwhile
        storage.delete(saved)
