"""Experiments that the settings declare: what stands there, and which one of the admin takes their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import override

from django_sessrec.conf import sessrec_settings
from django_sessrec.experiment_models import Experiment
from django_sessrec.serving import experiments as serving

Settled = Mapping[str, Mapping[str, Any]]  # placement -> its keys


def declared() -> Mapping[str, tuple[list[str], Mapping[str, Any]]]:
    """Name -> the placements that declare it, and the first one's variants."""
    found: dict[str, tuple[list[str], Mapping[str, Any]]] = {}
    for placement in sessrec_settings.PLACEMENTS:
        if experiment := sessrec_settings.placement(placement)["EXPERIMENT"]:
            placements, _variants = found.setdefault(experiment["NAME"], ([], experiment["VARIANTS"]))
            placements.append(placement)
    return found


def declared_on(placement: str) -> str:
    """The name of the experiment that the settings declare on a placement; empty where there is none."""
    if placement not in sessrec_settings.PLACEMENTS:
        return ""
    return str((sessrec_settings.placement(placement)["EXPERIMENT"] or {}).get("NAME", ""))


def stands_in_place_of(experiment: Experiment) -> Experiment | None:
    """The admin's experiment that a declared one is paused for, on every placement that declares it."""
    if not experiment.declared or experiment.state != Experiment.State.RUNNING:
        return None
    placements = [name for name in sessrec_settings.PLACEMENTS if declared_on(name) == experiment.name]
    others = Experiment.objects.filter(
        declared=False, state=Experiment.State.RUNNING, placement__in=placements
    )
    standing = list(others)
    return standing[0] if standing and len(standing) == len(placements) else None


def for_everybody(experiment: Experiment) -> Settled:
    """What everybody gets where the settings declare the experiment, but for keys that each variant sets."""
    kept = serving.stored().kept
    changes = [each.changes for each in experiment.variants.all()]
    own = {"EXPERIMENT", *(set.intersection(*map(set, changes)) if changes else ())}
    settled = {
        name: {**sessrec_settings.placement(name), **kept.get(name, {})}
        for name in sessrec_settings.PLACEMENTS
        if declared_on(name) == experiment.name
    }
    return {
        name: json_able({key: value for key, value in keys.items() if key not in own})
        for name, keys in settled.items()
    }


def differ(before: Settled, now: Settled) -> bool:
    """Whether a placement's key has another value; one that only one of them knows is no change.

    A newer version may bring a key, and another placement may declare the experiment as well.
    """
    return any(
        before[name][key] != now[name][key]
        for name in before.keys() & now.keys()
        for key in before[name].keys() & now[name].keys()
    )


def json_able(keys: Mapping[str, Any]) -> dict[str, Any]:
    """What a variant changes, the same in every process and language; nothing is served from these rows."""
    with override(settings.LANGUAGE_CODE):
        return {
            key: [_plain(each) for each in value] if isinstance(value, list | tuple) else _plain(value)
            for key, value in keys.items()
            if key != "SHARE"
        }


def _plain(value: Any) -> Any:
    """Titles may be lazy, and rules objects: their text, or their dotted path, will do."""
    if isinstance(value, str | int | float | bool | type(None)):
        return value
    if isinstance(value, Promise):
        return str(value)
    made_of = value if hasattr(value, "__qualname__") else type(value)
    return f"{made_of.__module__}.{made_of.__qualname__}"
