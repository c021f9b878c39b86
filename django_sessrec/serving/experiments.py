"""Which variant of a placement's experiment a session gets: a hash, so that no row has to remember it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate
from typing import Any, NamedTuple
from uuid import UUID

from django_sessrec.conf import sessrec_settings


class Assignment(NamedTuple):
    """A session's part in an experiment; empty names where there is none."""

    experiment: str
    variant: str
    overrides: Mapping[str, Any]  # the placement's keys that the variant changes, such as MODELS


NONE = Assignment("", "", {})


def variant(placement: str, session_id: UUID | None) -> Assignment:
    """The session's variant in the placement's experiment; without a session nobody takes part.

    Placements that name the same experiment give a session the same variant.
    """
    experiment = sessrec_settings.placement(placement)["EXPERIMENT"]
    if experiment is None or session_id is None:
        return NONE
    name, variants = experiment["NAME"], experiment["VARIANTS"]
    bounds = list(accumulate(settings["SHARE"] for settings in variants.values()))
    chosen = list(variants)[bisect(bounds, _point(name, session_id) * bounds[-1])]
    overrides = {key: value for key, value in variants[chosen].items() if key != "SHARE"}
    return Assignment(name, chosen, overrides)


def _point(experiment: str, session_id: UUID) -> float:
    """Where the session stands in [0, 1) of this experiment, independently of every other one.

    A plain hash and not an HMAC: rotating SECRET_KEY must not move visitors between variants.
    """
    digest = blake2b(experiment.encode() + session_id.bytes, digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
