"""Declaration of one setting: its default, types, bounds and help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import NoneType
from typing import Any, Final, Generic, Self, TypeVar, overload

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.functional import Promise

T_co = TypeVar("T_co", covariant=True)

NUMBER: Final = (int, float)
LIST: Final = (list, tuple)
WORDS: Final = {NoneType: "None", Promise: "translated str"}
RATE: Final = (r"\d+/(s|m|h|d)\w*|", "requests per period, such as '120/min'; '' sets no bound")


_given: Mapping[str, Any] | None = None  # what the shop wrote, while it stays the same


def given() -> Mapping[str, Any]:
    """What the shop wrote. A page asks some twenty times, and Django's settings take a while for each.

    A settings module that calls tasks.schedule() is asked while it is read: it may yet say SESSREC, or change
    it. So it is kept from when the apps are ready.
    """
    global _given
    if _given is not None:
        return _given
    found: Mapping[str, Any] | None = getattr(settings, "SESSREC", None)
    if apps.ready:
        _given = found
    return {} if found is None else found


@receiver(setting_changed)
def _read_again(*, setting: str, **_: Any) -> None:
    global _given
    if setting == "SESSREC":
        _given = None


def unknown_keys(given: Iterable[Any], known: Iterable[str]) -> Iterator[tuple[Any, str]]:
    """Each given key that is not known, with a hint that names the nearest known one, or them all."""
    known = sorted(known)
    for key in given:
        if key not in known:
            close = get_close_matches(str(key).upper(), known, 1)
            yield key, f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."


class Setting(Generic[T_co]):
    """One setting: default, types, bounds and help; as an attribute of `Settings`, the shop's value.

    types: of the values that it takes; None is one of them only where NoneType is named or it is the default
    low, high, above: bounds of a number; `above` is not in the range itself
    form: a regular expression that a text must match as a whole, and the same in words
    """

    def __init__(
        self,
        default: T_co,
        types: type | tuple[type, ...],
        help: str,  # noqa: A002
        *,
        low: float | None = None,
        high: float | None = None,
        above: float | None = None,
        form: tuple[str, str] | None = None,
        required: bool = False,
    ) -> None:
        self.default = default
        self.types = types if isinstance(types, tuple) else (types,)
        self.help = help
        self.low, self.high, self.above = low, high, above
        self.form = form
        self.required = required
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T_co: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T_co:
        if instance is None:
            return self
        return (_given or given()).get(self.name, self.default)  # type: ignore[no-any-return]

    def takes(self, value: Any) -> bool:
        """Whether the value is of a type that the setting takes; True is no number."""
        if isinstance(value, bool):
            return bool in self.types
        return value == self.default or isinstance(value, self.types)

    def in_range(self, value: Any) -> bool:
        """Whether a value of the right type is within the bounds, or has the form."""
        if isinstance(value, int | float):
            return (
                (self.low is None or value >= self.low)
                and (self.above is None or value > self.above)
                and (self.high is None or value <= self.high)
            )
        if isinstance(value, str) and self.form:
            return re.fullmatch(self.form[0], value) is not None
        return True

    @property
    def type_names(self) -> str:
        """The types in words: "int or None"."""
        words: dict[tuple[type, ...], list[str]] = {NUMBER: ["number"], LIST: ["list"]}
        names = words.get(self.types) or [WORDS.get(each, each.__name__) for each in self.types]
        if self.default is None and not self.required and "None" not in names:
            names.append("None")
        return " or ".join(names)

    @property
    def range_words(self) -> str:
        """The bounds in words, empty where there are none: "above 0 and at most 1"."""
        if self.form:
            return self.form[1]
        bounds = {"above": self.above, "at least": self.low, "at most": self.high}
        return " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
