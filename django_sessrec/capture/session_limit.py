"""Limit on the sessions that one client begins in an hour, counted without storing its address.

A program without cookies begins a session with each page. Past its limit it gets pages as everybody without
consent does: no cookie, no row.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from django_sessrec.capture.cache_waits import cache_may_be_asked, noting_a_late_cache
from django_sessrec.capture.client_address import client_address
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import never_raises

HOUR = 3_600
logger = logging.getLogger("django_sessrec")


@never_raises("ask how many sessions a client has begun", default=True)
def may_begin(request: HttpRequest) -> bool:
    """Whether the client may begin one more session; one whose address is unknown may."""
    limit, key = sessrec_settings.SESSIONS_PER_CLIENT, _key(request)
    if limit is None or key is None or not cache_may_be_asked():
        return True
    with noting_a_late_cache():
        begun: int = cache.get(key, 0)
    return begun < limit


@never_raises("count the sessions that clients begin", default=None)
def count_begun(request: HttpRequest) -> None:
    """Count a session that the client has begun: it gets a cookie, or a row of it is kept."""
    limit, key = sessrec_settings.SESSIONS_PER_CLIENT, _key(request)
    if limit is None or key is None or not cache_may_be_asked():
        return
    with noting_a_late_cache():
        begun: int = 1 if cache.add(key, 1, HOUR) else cache.incr(key)
    if begun == limit:
        logger.warning(
            "A client began %d sessions in an hour, its limit: its next ones are contextual", limit
        )


def _key(request: HttpRequest) -> str | None:
    """What is counted under: the address's keyed hash of this hour, in Django's cache and nowhere else."""
    address = client_address(request)
    if address is None:
        return None
    hour = f"{datetime.now(UTC):%Y%m%d%H}"
    digest = salted_hmac("django_sessrec.clients", f"{hour} {address}", algorithm="sha256").hexdigest()
    return f"sessrec:client:{digest}"
