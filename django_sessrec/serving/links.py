"""Links that carry their list's rec_id, so that a click counts for its impression."""

from __future__ import annotations

from django_sessrec.capture.followed_link import LINK


def tagged(url: str, rec_id: str, position: int) -> str:
    """`url` with ?sessrec=<rec_id>.<position>, before its fragment and beside its own parameters."""
    address, hash_sign, fragment = url.partition("#")
    separator = "&" if "?" in address else "?"
    return f"{address}{separator}{LINK}={rec_id}.{position}{hash_sign}{fragment}"
