"""KPIs as a table for a spreadsheet or a BI tool: one line per group, no visitor ids."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django_sessrec.measuring.kpis import COUNTS, RATES, Kpi
from django_sessrec.measuring.proportions import Rate


def csv_lines(by: Sequence[str], figures: Mapping[tuple[Any, ...], Kpi]) -> Iterator[str]:
    """The figures as CSV after RFC 4180, line by line: the dimensions of `by`, the counts, each rate with
    the ends of its 95 % interval, and a column of revenue per currency."""
    currencies = sorted({currency for kpi in figures.values() for currency in kpi.revenue})
    rates = [column for name in RATES for column in (name, f"{name}_low", f"{name}_high")]
    revenue = [f"revenue_{currency}".rstrip("_") for currency in currencies]
    writer = csv.writer(_Echo())
    yield writer.writerow([*by, "sessions", *COUNTS, *rates, *revenue])
    for key, kpi in figures.items():
        cells = [
            *key,
            kpi.sessions,
            *(getattr(kpi, name) for name in COUNTS),
            *(share for name in RATES for share in _shares(kpi.rate(name))),
            *(kpi.revenue.get(currency, 0) for currency in currencies),
        ]
        yield writer.writerow([_harmless(cell) for cell in cells])


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _shares(rate: Rate) -> list[str]:
    if rate.value is None:
        return ["", "", ""]
    return [f"{share:.6f}" for share in (rate.value, *rate.interval)]


def _harmless(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula, kept as text (CWE-1236)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
