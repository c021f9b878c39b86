"""KPIs as a table for a spreadsheet or a BI tool: one line per group, no visitor ids."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django_sessrec.measuring.definitions import COUNTS, MONEY, RATES
from django_sessrec.measuring.kpis import Kpi, Money
from django_sessrec.measuring.proportions import Rate


def csv_lines(by: Sequence[str], figures: Mapping[tuple[Any, ...], Kpi]) -> Iterator[str]:
    """The figures as CSV after RFC 4180, line by line: the dimensions of `by`, the counts, each rate with
    the ends of its 95 % interval, and the money of definitions.MONEY, a column for each currency."""
    currencies = sorted({currency for kpi in figures.values() for currency in kpi.money})
    rates = [column for name in RATES for column in (name, f"{name}_low", f"{name}_high")]
    sums = [(each.key, currency) for currency in currencies for each in MONEY]
    money = [f"{key}_{currency}".rstrip("_") for key, currency in sums]
    writer = csv.writer(_Echo())
    yield writer.writerow([*by, "sessions", *COUNTS, *rates, *money])
    for key, kpi in figures.items():
        cells = [
            *key,
            kpi.sessions,
            *(getattr(kpi, name) for name in COUNTS),
            *(share for name in RATES for share in _shares(kpi.rate(name))),
            *(getattr(kpi.money.get(currency, Money()), key) for key, currency in sums),
        ]
        yield writer.writerow([harmless(cell) for cell in cells])


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _shares(rate: Rate) -> list[str]:
    if rate.value is None:
        return ["", "", ""]
    return [f"{share:.6f}" for share in (rate.value, *rate.interval)]


def harmless(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula, kept as text (CWE-1236)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
