"""Readers of CSV, JSON Lines and Parquet files: compressed, in folders, with broken lines."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TextIO, cast

DELIMITERS: Final = ",;\t|"
LONGEST_LINE: Final = 1_000_000  # characters: a file without lines is not read into memory whole
LINES_OF_A_ROW: Final = 20  # that quotes may hold together; a quote that is not closed costs its line only
BATCH: Final = 10_000  # rows of a Parquet file read at once
QUOTED: Final = re.compile('"[^"]*"')
MAGIC: Final = {b"PAR1": "parquet", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
OTHERS: Final = {  # what people give by mistake, by its first bytes
    b"PK\x03\x04": "a ZIP archive or a workbook of Excel: unpack it, or save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old workbook of Excel: save its sheet as CSV",
    b"PAR1": "a Parquet file that was compressed as a whole: unpack it",
    b"BZh": "compressed by bzip2: unpack it, or use gzip or zstd",
    b"\xfd7zX": "compressed by xz: unpack it, or use gzip or zstd",
    b"\xff\xfe": "text in UTF-16: save it in UTF-8",
    b"\xfe\xff": "text in UTF-16: save it in UTF-8",
    b"[": "a JSON array: write each of its objects into a line (jq -c '.[]')",
    b"<": "HTML or XML: export CSV",
}
NAMES_FROM: Final = 100  # lines of JSON, whose objects need not have every field
NEEDS_PYARROW: Final = "needs pyarrow: pip install django-sessrec[parquet]"

Values = Mapping[str, Any]


class UnusableFile(ValueError):  # noqa: N818
    """The file as a whole can't be read; the message says why."""


class TableRow(NamedTuple):
    """A row, or its error."""

    line: int  # of a CSV file, counted from 1; of a Parquet file the row; of a folder, over all its files
    share: float  # of the file so far, 0..1
    values: Values | Exception  # by column


def rows(path: Path, columns: list[str], optional: Collection[str] = ()) -> Iterator[TableRow]:
    """The rows of a file, or of every file in a folder, in the order of their names.

    What a file is, its first bytes say: Parquet, CSV with a header, or a JSON object in each line; these two
    may be compressed by gzip or zstd. Raises UnusableFile where a column is missing or a file can't be read,
    and OSError.

    optional: those of the columns that an object of JSON has only where there is something to say
    """
    files = _files(path)
    before = 0
    for number, file in enumerate(files):
        last = 0
        for row in _rows_of(file, columns, optional):
            last = row.line
            yield TableRow(before + row.line, (number + row.share) / len(files), row.values)
        before += last


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.name[0] not in "._")
    if not files:
        raise UnusableFile(f"{path} is a folder without files")
    return files


def _rows_of(path: Path, columns: list[str], optional: Collection[str]) -> Iterator[TableRow]:
    with path.open("rb") as file:
        start = file.read(4)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "text")
    if kind == "parquet":
        return _parquet(path, columns)
    return _lines(path, columns, optional, kind)


def _lines(path: Path, columns: list[str], optional: Collection[str], compression: str) -> Iterator[TableRow]:
    size = max(1, path.stat().st_size)
    with (
        path.open("rb") as file,
        _decompressed(file, path, compression) as binary,
        TextIOWrapper(binary, "utf-8-sig", "surrogateescape", newline="") as text,
    ):
        first = _line_of(text, path)
        if first.startswith("{"):
            read = _json(first, text, [each for each in columns if each not in optional], path)
        else:
            read = _csv(first, text, columns, path)
        for line, values in read:
            yield TableRow(line, file.tell() / size, values)


def _csv(
    header: str, text: TextIO, columns: list[str], path: Path
) -> Iterator[tuple[int, Values | Exception]]:
    delimiter = max(DELIMITERS, key=QUOTED.sub("", header).count)
    names = _names(header, delimiter, path)
    _require(columns, names, path)
    for line, fields in _fields(text, delimiter, len(names), path):
        yield line, fields if isinstance(fields, Exception) else dict(zip(names, fields, strict=True))


def _json(
    first: str, text: TextIO, columns: list[str], path: Path
) -> Iterator[tuple[int, Values | Exception]]:
    """(line, object) of each line of JSON, or (line, what is wrong with it)."""
    lines = chain([first], iter(lambda: _line_of(text, path), ""))
    objects = ((line, _object(words)) for line, words in enumerate(lines, 1) if words.strip())
    head = list(islice(objects, NAMES_FROM))
    names = dict.fromkeys(name for _, each in head if not isinstance(each, Exception) for name in each)
    if not names:
        raise UnusableFile(f"{path} is JSON, but not with an object in each line, as jq -c writes it")
    _require(columns, [*names], path)
    yield from chain(head, objects)


def _object(line: str) -> Values | Exception:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as problem:
        return ValueError(f"the line is no JSON: {problem}")
    return values if isinstance(values, dict) else ValueError("the line holds no JSON object")


@contextmanager
def _decompressed(file: BinaryIO, path: Path, compression: str) -> Iterator[BufferedReader]:
    if compression == "gzip":
        with gzip.open(file) as binary:
            yield cast("BufferedReader", binary)
    elif compression == "zstd":
        try:
            from pyarrow import CompressedInputStream
        except ImportError as missing:
            raise UnusableFile(f"{path} is compressed by zstd and {NEEDS_PYARROW}") from missing
        with CompressedInputStream(file, "zstd") as binary:
            yield cast("BufferedReader", binary)
    else:
        yield cast("BufferedReader", file)


def _line_of(text: TextIO, path: Path) -> str:
    try:
        return text.readline(LONGEST_LINE)
    except (EOFError, OSError, ValueError) as problem:  # a compressed file that ends early, or is none
        raise UnusableFile(f"{path} can't be read on: {problem}") from problem


def _fields(
    text: TextIO, delimiter: str, width: int, path: Path
) -> Iterator[tuple[int, list[str] | Exception]]:
    """(line, fields) of each row, or (line, what is wrong with it).

    A row is one line, or several that quotes hold together. Where that does not give a row of the right
    width, the first line alone is broken, and the next one is read by itself: a stray quote costs one row.
    """
    ahead: list[str] = []
    number = 1
    while line := (ahead.pop(0) if ahead else _line_of(text, path)):
        number += 1
        if len(line) >= LONGEST_LINE:
            while line and not line.endswith(("\n", "\r")):
                line = _line_of(text, path)
            yield number, ValueError(f"the line is longer than {LONGEST_LINE:,} characters")
            continue
        if not line.strip("\r\n"):
            continue
        fields = _parsed(line, delimiter)
        if fields is None:
            fields, used = _joined(line, ahead, text, delimiter, width, path)
            if fields is None:
                yield number, ValueError("a quote is not closed, or closed in the middle of a field")
                continue
            del ahead[:used]
            yield number, fields
            number += used
            continue
        if len(fields) == width:
            yield number, fields
        else:
            yield number, ValueError(f"{len(fields)} fields, the header has {width}")


def _joined(
    line: str, ahead: list[str], text: TextIO, delimiter: str, width: int, path: Path
) -> tuple[list[str] | None, int]:
    """The fields of a row of several lines, and how many lines more it takes; None where it is none."""
    for used in range(1, LINES_OF_A_ROW):
        if len(ahead) < used:
            if not (more := _line_of(text, path)):
                break
            ahead.append(more)
        line += ahead[used - 1]
        fields = _parsed(line, delimiter)
        if fields is not None:
            return (fields, used) if len(fields) == width else (None, 0)
    return None, 0


def _parsed(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line; None where its quotes don't match."""
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter)
    try:
        [fields] = csv.reader([line], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        return None
    return fields


def _names(header: str, delimiter: str, path: Path) -> list[str]:
    if not header.strip():
        raise UnusableFile(
            f"{path} is empty, or its first line is: the names of the columns must stand there"
        )
    start = header[:4].encode("utf-8", "surrogateescape")
    if other := next((what for magic, what in OTHERS.items() if start.startswith(magic)), ""):
        raise UnusableFile(f"{path} is no CSV file in UTF-8, but {other}")
    try:
        header.encode()  # what was not UTF-8 has become lone surrogates
        return next(csv.reader([header], delimiter=delimiter))
    except (UnicodeEncodeError, csv.Error) as problem:
        raise UnusableFile(f"{path} is no CSV file in UTF-8: its first line can't be read") from problem


def _parquet(path: Path, columns: list[str]) -> Iterator[TableRow]:
    try:
        from pyarrow import ArrowException, types
        from pyarrow.parquet import ParquetFile
    except ImportError as missing:
        raise UnusableFile(f"Parquet {NEEDS_PYARROW}") from missing
    try:
        with ParquetFile(path) as file:
            _require(columns, file.schema_arrow.names, path)
            for name in columns:
                kind = file.schema_arrow.field(name).type
                if types.is_nested(kind):
                    raise UnusableFile(f"{path}: column {name} is of type {kind}: no text, number or time")
            line = 0
            for batch in file.iter_batches(BATCH, columns=columns):
                read = [_values(batch.column(name)) for name in columns]
                for fields in zip(*read, strict=True):
                    line += 1
                    yield TableRow(
                        line, line / file.metadata.num_rows, dict(zip(columns, fields, strict=True))
                    )
    except (ArrowException, OSError) as problem:
        raise UnusableFile(f"{path} is no Parquet file, or a broken one: {problem}") from problem


def _values(column: Any) -> list[Any]:
    """A column's values as Python has them: times cut to milliseconds, bytes as text, dates as midnight."""
    from pyarrow import ArrowException, timestamp, types

    if types.is_timestamp(column.type):
        column = column.cast(timestamp("ms", column.type.tz), safe=False)
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError, ArrowException):  # a time beyond Python's years
        values = [_value(each) for each in column]
    return [_plain(each) for each in values]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return f"{scalar.value} of type {scalar.type}"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  (its zone is told by the caller)
    return value


def _require(columns: list[str], present: list[str], path: Path) -> None:
    if missing := [name for name in columns if name not in present]:
        raise UnusableFile(f"{path} has no column {', '.join(missing)}; it has {', '.join(present)[:500]}")
