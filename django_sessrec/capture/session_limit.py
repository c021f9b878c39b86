"""How many visits one client begins in an hour, counted without keeping who it is.

A program without cookies begins a visit with each page. Past its bound it gets pages as everybody without
consent does: no cookie, no row.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address

from django.core.cache import cache
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import never_raises

HOUR = 3_600
SITE = 64  # bits of an IPv6 address that are the customer's; the rest its devices choose anew

logger = logging.getLogger("django_sessrec")


@never_raises("count the visits that clients begin", default=True)
def may_begin(request: HttpRequest) -> bool:
    """Whether the client may begin one more visit, which is counted; one whose address is unknown may.

    What is counted under is the address's keyed hash of this hour, in Django's cache and nowhere else.
    """
    bound, address = sessrec_settings.VISITS_PER_CLIENT, _address(request)
    if bound is None or address is None:
        return True
    hour = f"{datetime.now(UTC):%Y%m%d%H}"
    digest = salted_hmac("django_sessrec.clients", f"{hour} {address}", algorithm="sha256").hexdigest()
    key = f"sessrec:client:{digest}"
    begun = 1 if cache.add(key, 1, HOUR) else cache.incr(key)
    if begun == bound + 1:
        logger.warning("A client began more than %d visits in an hour: its next ones are contextual", bound)
    return begun <= bound


def _address(request: HttpRequest) -> str | None:
    """Where the request comes from, past the shop's own NUM_PROXIES; None where that is no public address."""
    proxies = sessrec_settings.num_proxies
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    told = hops[-proxies] if len(hops) >= proxies > 0 else request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(told.strip())
    except ValueError:  # a socket's name, or nonsense
        return None
    if not address.is_global:  # a proxy that NUM_PROXIES does not count stands for all visitors
        return None
    return str(int(address) >> SITE) if isinstance(address, IPv6Address) else str(address)
