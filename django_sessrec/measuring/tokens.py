"""The signed name of an impression: what a click must bring so that it counts for a recommendation."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

SALT = "django_sessrec.rec_id"
ID_BYTES = SIGNATURE_BYTES = 16  # 128 bits each: no padding worth carrying in a link


def sign(impression_id: UUID, session_id: UUID) -> str:
    """The rec_id of an impression: 43 URL-safe characters that only this session can use."""
    return _sign(impression_id, session_id, settings.SECRET_KEY)


def verify(rec_id: str, session_id: UUID, max_age: timedelta) -> UUID | None:
    """The impression that `rec_id` names, or None where it is forged, another session's or too old.

    The age is that of the impression's id, a UUIDv7. Keys in SECRET_KEY_FALLBACKS still verify.
    """
    try:
        decoded = urlsafe_b64decode(rec_id + "=")
    except (binascii.Error, ValueError):
        return None
    if len(decoded) != ID_BYTES + SIGNATURE_BYTES:
        return None
    impression_id = UUID(bytes=decoded[:ID_BYTES])
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    # Signing anew and comparing texts also refuses other spellings of the same bytes.
    genuine = any(constant_time_compare(rec_id, _sign(impression_id, session_id, key)) for key in secrets)
    return impression_id if genuine and timezone.now() - _shown_at(impression_id) <= max_age else None


def _sign(impression_id: UUID, session_id: UUID, secret: str | bytes) -> str:
    signed = impression_id.bytes + session_id.bytes
    signature = salted_hmac(SALT, signed, secret=secret, algorithm="sha256").digest()[:SIGNATURE_BYTES]
    return urlsafe_b64encode(impression_id.bytes + signature).rstrip(b"=").decode()


def _shown_at(impression_id: UUID) -> datetime:
    """The milliseconds in a UUIDv7's first 48 bits (RFC 9562)."""
    return datetime.fromtimestamp((impression_id.int >> 80) / 1000, UTC)
