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


@never_raises("count the sessions that clients begin", default=True)
def may_begin(request: HttpRequest) -> bool:
    """Whether the client may begin one more session, which is counted; one whose address is unknown may.

    What is counted under is the address's keyed hash of this hour, in Django's cache and nowhere else.
    """
    limit = sessrec_settings.SESSIONS_PER_CLIENT
    if limit is None or (address := client_address(request)) is None:
        return True
    if not cache_may_be_asked():
        return True
    hour = f"{datetime.now(UTC):%Y%m%d%H}"
    digest = salted_hmac("django_sessrec.clients", f"{hour} {address}", algorithm="sha256").hexdigest()
    key = f"sessrec:client:{digest}"
    with noting_a_late_cache():
        begun: int = 1 if cache.add(key, 1, HOUR) else cache.incr(key)
    if begun == limit + 1:
        logger.warning("A client began more than %d sessions in an hour: its next ones are contextual", limit)
    return begun <= limit
