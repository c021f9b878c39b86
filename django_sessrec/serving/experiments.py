"""Which variant of an experiment a session gets: a hash, so that no row has to remember it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate
from typing import Any
from uuid import UUID


def assigned(experiment: str, variants: Mapping[str, Mapping[str, Any]], session_id: UUID) -> str:
    """The name of the session's variant; each gets its SHARE of all sessions.

    Placements that name the same experiment give a session the same variant.
    """
    bounds = list(accumulate(variant["SHARE"] for variant in variants.values()))
    return list(variants)[bisect(bounds, _point(experiment, session_id) * bounds[-1])]


def _point(experiment: str, session_id: UUID) -> float:
    """Where the session stands in [0, 1) of this experiment, independently of every other one.

    A plain hash and not an HMAC: rotating SECRET_KEY must not move visitors between variants.
    """
    digest = blake2b(experiment.encode() + session_id.bytes, digest_size=6).digest()
    return int.from_bytes(digest) / 2**48
