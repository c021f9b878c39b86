"""rec_id: the signed token of an impression, which a click needs to count for a recommendation."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.encoding import force_bytes

from django_sessrec.ids import time_of

SALT = b"django_sessrec.rec_id"
ID_BYTES = 16
MAC_BYTES = 16  # 128 bits; Django's Signer takes 256, and every link carries it


def sign(impression_id: UUID, session_id: UUID) -> str:
    """The rec_id of an impression: 43 URL-safe characters that only this session can use."""
    return next(_spellings(impression_id, session_id))


def verify(rec_id: str, session_id: UUID, max_age: timedelta) -> UUID | None:
    """The impression that `rec_id` names, or None where it is forged, another session's or too old.

    The age is that of the impression's id, a UUIDv7. Keys in SECRET_KEY_FALLBACKS still verify.
    """
    try:
        decoded = urlsafe_b64decode(rec_id + "=")
    except (binascii.Error, ValueError):
        return None
    if len(decoded) != ID_BYTES + MAC_BYTES:
        return None
    impression_id = UUID(bytes=decoded[:ID_BYTES])
    # Signing anew and comparing texts also refuses other spellings of the same bytes.
    genuine = any(constant_time_compare(rec_id, text) for text in _spellings(impression_id, session_id))
    return impression_id if genuine and timezone.now() - time_of(impression_id) <= max_age else None


def _spellings(impression_id: UUID, session_id: UUID) -> Iterator[str]:
    """The rec_id by each of the shop's keys: SECRET_KEY signs, SECRET_KEY_FALLBACKS still verify."""
    message = impression_id.bytes + session_id.bytes
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        mac = blake2b(message, key=_key(secret), digest_size=MAC_BYTES).digest()  # RFC 7693
        yield urlsafe_b64encode(impression_id.bytes + mac).rstrip(b"=").decode()


@lru_cache(maxsize=32)
def _key(secret: str | bytes) -> bytes:
    """A key for this use alone."""
    return blake2b(SALT + force_bytes(secret)).digest()
