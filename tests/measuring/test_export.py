"""The CSV that leaves the house."""

import csv
from datetime import date
from decimal import Decimal

from django_sessrec.measuring.export import csv_lines
from django_sessrec.measuring.kpis import Kpi, Money


def read(by, figures):
    return list(csv.DictReader("".join(csv_lines(by, figures)).splitlines()))


def test_a_row_per_group_with_intervals_and_a_column_per_currency():
    figures = {
        (date(2026, 3, 1), "home"): Kpi(
            *(263, 800),
            seen_impressions=200,
            clicked_impressions=81,
            seen_and_clicked=80,
            clicks=90,
            carts=9,
            purchases=3,
            money={"EUR": Money(Decimal("12.50"))},
        ),
        (date(2026, 3, 2), "home"): Kpi(10, 20, money={"CHF": Money(Decimal(3))}),
    }
    first, second = read(("day", "placement"), figures)
    assert first["day"] == "2026-03-01"
    assert (first["impressions"], first["clicks"], first["purchases"]) == ("263", "90", "3")
    assert (first["ctr"], first["ctr_low"], first["ctr_high"]) == ("0.307985", "0.255289", "0.366210")
    assert (first["viewability"], first["viewable_ctr"]) == ("0.760456", "0.400000")
    assert (first["direct_EUR"], first["direct_CHF"]) == ("12.50", "0")
    assert second["conversion"] == second["conversion_low"] == ""


def test_text_stays_text_in_a_spreadsheet():
    (row,) = read(("variant",), {('=HYPERLINK("x")',): Kpi(1)})
    assert row["variant"] == '\'=HYPERLINK("x")'


def test_no_figures_leave_the_header():
    assert "".join(csv_lines(("day",), {})).startswith("day,sessions,impressions,")
