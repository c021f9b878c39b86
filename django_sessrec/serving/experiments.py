"""Running experiments, and the variant that a session gets: a hash, so that no row has to remember it.

Rows of the admin are read again every CHECK_SECONDS, all in one query, so that a start, a ramp or a stop
takes effect within seconds and no page pays for it. A row's experiment stands in place of one that the
settings declare.
"""

from __future__ import annotations

import os
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.db.models import Q

from django_sessrec.capture.fast_query import bounded, database_breaker
from django_sessrec.experiment_models import INTERLEAVED, Experiment, Variant
from django_sessrec.safety import isolated
from django_sessrec.serving.ttl import CachedValue

CHECK_SECONDS = 5.0  # between two looks for another state, one small query each


@dataclass(frozen=True, slots=True)
class RunningExperiment:
    """An experiment as its placement needs it.

    - `variants`: name -> SHARE and keys of a placement, the control first
    - `part`: the share of all sessions that take part
    - `holdouts`: variants without recommendations
    """

    name: str
    variants: Mapping[str, Mapping[str, Any]]
    part: float = 1.0
    interleaved: bool = False
    holdouts: frozenset[str] = frozenset()

    def variant_of(self, session_id: UUID) -> str:
        """The session's variant; empty where it does not take part."""
        if self.part < 1 and _point(f"{self.name}\0part", session_id) >= self.part:
            return ""
        return INTERLEAVED if self.interleaved else assigned(self.name, self.variants, session_id)


@dataclass(frozen=True, slots=True)
class Rows:
    """The admin's experiments by placement: those that run, and what was kept of those that are over."""

    running: Mapping[str, RunningExperiment] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # changes that everybody gets


def running(placement: str, declared: Mapping[str, Any] | None) -> RunningExperiment | None:
    """The placement's experiment; `declared` is its EXPERIMENT in the settings.

    Raises what an unreadable `declared` makes of it: KeyError, TypeError or AttributeError.
    """
    row = _rows.get(CHECK_SECONDS).running.get(placement)
    if row is None and declared:
        return RunningExperiment(declared["NAME"], declared["VARIANTS"])
    return row


def kept(placement: str) -> Mapping[str, Any]:
    """Changes of the variants that everybody gets since their experiments ended, later ones winning."""
    return _rows.get(CHECK_SECONDS).kept.get(placement, {})


def assigned(experiment: str, variants: Mapping[str, Mapping[str, Any]], session_id: UUID) -> str:
    """The name of the session's variant; each gets its SHARE of all sessions.

    Placements that name the same experiment give a session the same variant.
    """
    bounds = list(accumulate(variant["SHARE"] for variant in variants.values()))
    return list(variants)[bisect(bounds, _point(experiment, session_id) * bounds[-1])]


def stored() -> Rows:
    """The rows as they are now, whatever was read before. Raises django.db.Error."""
    variants = Variant.objects.filter(
        Q(experiment__state=Experiment.State.RUNNING) | ~Q(experiment__kept=""),
        experiment__declared=False,
    )
    return _of(list(variants.select_related("experiment")))


def expire() -> None:
    """Read the rows anew when they are next asked for; those so far hold until then."""
    _rows.expire()


def forget() -> None:
    """Forget the rows that were read."""
    _rows.forget()


def _point(experiment: str, session_id: UUID) -> float:
    """Where the session stands in [0, 1) of this experiment, independently of every other one.

    A plain hash and not an HMAC: rotating SECRET_KEY must not move visitors between variants.
    """
    digest = blake2b(experiment.encode() + session_id.bytes, digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def _renewed(current: Rows) -> Rows:
    if database_breaker.resting:
        return current
    with isolated("look up the running experiments"), bounded():
        return stored()
    return current


def _of(variants: list[Variant]) -> Rows:
    by_experiment: dict[Experiment, list[Variant]] = {}
    for each in variants:
        by_experiment.setdefault(each.experiment, []).append(each)
    running_ones: dict[str, RunningExperiment] = {}
    kept_ones: dict[str, dict[str, Any]] = {}
    # What was kept of one changes what had been kept before: its variants were made on top of that.
    for experiment, arms in sorted(by_experiment.items(), key=lambda pair: _ended(pair[0])):
        if experiment.state != Experiment.State.RUNNING:
            changes = {each.name: each.changes for each in arms}
            kept_ones.setdefault(experiment.placement, {}).update(changes.get(experiment.kept, {}))
        elif len(arms) > 1 and any(each.share > 0 for each in arms):  # one may have been deleted meanwhile
            running_ones[experiment.placement] = RunningExperiment(
                experiment.name,
                {each.name: {**each.changes, "SHARE": each.share} for each in arms},
                experiment.part,
                experiment.kind == Experiment.Kind.INTERLEAVING,
                frozenset(each.name for each in arms if each.holdout),
            )
    return Rows(running_ones, kept_ones)


def _ended(experiment: Experiment) -> datetime:
    return experiment.stopped_at or experiment.created_at


_rows = CachedValue(Rows(), _renewed)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
