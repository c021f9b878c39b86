"""A merchant's rules as a placement carries them: read from rows once, kept by each web process.

The rows are read again every CHECK_SECONDS, all placements' in one query, so that a rule that is published,
deleted or undone takes effect within seconds and no page pays for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django_sessrec.capture.fast_query import bounded, database_breaker
from django_sessrec.conf import entries
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.safety import isolated, log
from django_sessrec.serving.ttl import CachedValue

CHECK_SECONDS = 3.0  # between two looks for published rules
MERCHANT: Final = "merchant:"  # how the names of rules begin in traces
ITEM: Final = "item"  # the attribute of a match that names products by their ids
MOST_PIECES: Final = 10**9  # the highest number that a rule about stock may name
CATEGORY: Final = "category"  # the attribute that a category's own page has, too
CHANGEABLE: Final = ("LIMIT", "HIDE_VIEWED", "MAX_PER_CATEGORY")
RULE_COLUMNS: Final = ("pk", "kind", "parameters", "starts_at", "ends_at", "group")
READ: Final = ("placement", "changes", *(f"rules__{name}" for name in RULE_COLUMNS))
Kind = PlacementRule.Kind
BY_PLACE: Final = frozenset({Kind.PIN, Kind.SPONSORED})
# A list that would be too short is filled with what these left out: they say what is better, not wrong.
SOFT: Final = frozenset({Kind.RELATED, Kind.PRICE, Kind.STOCK, Kind.BESIDE, Kind.CAP})


@dataclass(frozen=True, slots=True)
class Match:
    """Products by one attribute of the catalogue, or by their ids."""

    attribute: str
    values: frozenset[str]

    @classmethod
    def of(cls, given: Any) -> Match:
        """Read {"attribute": "brand", "values": ["Runa"]}; ValueError for anything else."""
        attribute, values = given["attribute"], given["values"]
        if not (isinstance(attribute, str) and attribute and isinstance(values, list) and values):
            raise ValueError(f"{given!r} names no products")
        return cls(attribute, frozenset(map(str, values)))


@dataclass(frozen=True, slots=True)
class MerchantRule:
    """One rule, with the parameters of its kind; those of other kinds keep their defaults.

    - `name`: what traces call it
    - `what`, `other`: the products that it is about, and those that they never stand beside
    - `on_screen`: only on pages of these products
    - `places`: up or down; 0 is as far as it goes
    - `most`, `window`: at most so many among any so many places in a row; a window of 0 is the whole list
    - `low`, `high`: of the price; as shares of the price on screen where `relative`
    """

    name: str
    kind: str
    what: Match | None = None
    other: Match | None = None
    on_screen: Match | None = None
    attribute: str = ""
    item_id: str = ""
    position: int = 1
    places: int = 0
    most: int = 1
    window: int = 0
    low: float | None = None
    high: float | None = None
    relative: bool = False
    same: bool = True
    pieces: int = 1
    last: bool = False  # of stock: such products go last, and are not left out
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    group: str = ""

    @classmethod
    def of(cls, row: PlacementRule) -> MerchantRule:
        """Read a row; KeyError, TypeError or ValueError says what is wrong with it."""
        kind, given = Kind(row.kind), row.parameters
        read: dict[str, Any] = {}
        if kind in BY_PLACE:
            read = {"item_id": _text(given["item"]), "position": _whole(given["position"], MAX_LIMIT)}
        elif kind in (Kind.HIDE, Kind.BOOST, Kind.BURY, Kind.BESIDE):
            read = {"what": Match.of(given), "places": _whole(given.get("places", 0), MAX_LIMIT, low=0)}
            if kind == Kind.BESIDE:
                read["other"] = Match.of(given["other"])
        elif kind == Kind.CAP:
            most, window = _whole(given["most"], MAX_LIMIT), _whole(given.get("window", 0), MAX_LIMIT, low=0)
            read = {"attribute": _text(given["attribute"]), "most": most, "window": window}
        elif kind == Kind.RELATED:
            read = {"attribute": _text(given["attribute"]), "same": bool(given["same"])}
        elif kind == Kind.PRICE:
            low, high = (None if given.get(end) is None else float(given[end]) for end in ("low", "high"))
            read = {"low": low, "high": high, "relative": bool(given.get("relative"))}
        elif kind == Kind.STOCK:
            read = {"pieces": _whole(given["pieces"], MOST_PIECES), "last": bool(given.get("last"))}
        if on_screen := given.get("on_screen"):
            read["on_screen"] = Match.of(on_screen)
        return cls(
            trace_name(row), kind.value, starts_at=row.starts_at, ends_at=row.ends_at, group=row.group, **read
        )

    def in_force(self, at: datetime) -> bool:
        """Whether its dates include the moment (aware)."""
        return (self.starts_at is None or self.starts_at <= at) and (
            self.ends_at is None or at < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class Merchandising:
    """The rules of one placement in the order of their application, and the settings that rows change."""

    rules: tuple[MerchantRule, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)

    def asked(self, current: str) -> set[str]:
        """The ids that the rules ask the catalogue about, beside the candidates' and that on the page."""
        if not self.rules:
            return set()
        return {rule.item_id for rule in self.rules if rule.item_id} | ({current} - {""})

    @classmethod
    def of(cls, rules: Iterable[PlacementRule], changes: Mapping[str, Any] | None = None) -> Merchandising:
        """From rows; one that can't be read is logged and left out, and so is a setting."""
        order = {kind: number for number, kind in enumerate(Kind)}
        read: list[MerchantRule] = []
        for row in rules:
            try:
                read.append(MerchantRule.of(row))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                error.add_note(f"{row!r}: {row.parameters!r}")
                log("could not read a merchant's rule, which is left out", error)
        return cls(tuple(sorted(read, key=lambda rule: order[Kind(rule.kind)])), allowed(changes or {}))


NONE: Final = Merchandising()


def trace_name(rule: PlacementRule) -> str:
    """What the traces of items call the rule."""
    return f"{MERCHANT}{rule.pk}"


def allowed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a row may change, those of them that have a value of the setting's type and range."""
    found = {key: value for key, value in changes.items() if key in CHANGEABLE}
    return {
        key: value
        for key, value in found.items()
        if entries.PLACEMENT[key].takes(value) and entries.PLACEMENT[key].in_range(value)
    }


def live(placement: str) -> Merchandising:
    """The placement's published rules, at most CHECK_SECONDS old."""
    return _live.get(CHECK_SECONDS).get(placement, NONE)


def expire() -> None:
    """Read the rules anew when they are next asked for; those so far hold until then."""
    _live.expire()


def forget() -> None:
    """Forget the rules that were read."""
    _live.forget()


def _renewed(current: Mapping[str, Merchandising]) -> Mapping[str, Merchandising]:
    if database_breaker.resting:
        return current
    with isolated("read the rules of the placements"):
        with bounded():
            rows = list(RuleSet.objects.filter(pk__in=RuleSet.objects.live().values("pk")).values(*READ))
        return _by_placement(rows)
    return current


def _by_placement(rows: Iterable[dict[str, Any]]) -> dict[str, Merchandising]:
    """The rules by placement; a set without rules is one row without a rule's id."""
    changes: dict[str, Any] = {}
    rules: dict[str, list[PlacementRule]] = {}
    for row in rows:
        placement = row["placement"]
        changes[placement] = row["changes"]
        mine = rules.setdefault(placement, [])
        if row["rules__pk"] is not None:
            mine.append(PlacementRule(**{name: row[f"rules__{name}"] for name in RULE_COLUMNS}))
    return {
        placement: Merchandising.of(sorted(mine, key=lambda rule: rule.pk), changes[placement])
        for placement, mine in rules.items()
    }


_live: CachedValue[Mapping[str, Merchandising]] = CachedValue({}, _renewed)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _whole(value: Any, high: int, low: int = 1) -> int:
    number = int(value)
    if not low <= number <= high:
        raise ValueError(f"{value!r} is not from {low} to {high}")
    return number
