"""The client's address, for the limit on new sessions and for the throttles."""

from __future__ import annotations

import logging
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.http import HttpRequest

from django_sessrec.conf import sessrec_settings

SITE = 64  # bits of an IPv6 address that are the customer's; the rest its devices choose anew

logger = logging.getLogger("django_sessrec")


def client_address(request: HttpRequest) -> str | None:
    """The client's address: an IPv4 address, or the network of an IPv6 customer. None where it is not known.

    With NUM_PROXIES set, the address that the outermost of them saw; X-Forwarded-For says it, and what stands
    further left in it is the client's own invention. With NUM_PROXIES not set, REMOTE_ADDR if it is a public
    address and nothing was forwarded. All else may be a proxy, which stands for every visitor of the shop:
    unknown, so that nobody is limited for what others do.
    """
    proxies, forwarded = sessrec_settings.num_proxies, request.META.get("HTTP_X_FORWARDED_FOR", "")
    if proxies is None and forwarded:
        warn_of_proxies()
        return None
    if proxies:
        hops = forwarded.split(",")
        address = _parsed(hops[-proxies]) if len(hops) >= proxies else None
    else:
        address = _parsed(request.META.get("REMOTE_ADDR", ""))
    if address is None or (proxies is None and not address.is_global):
        return None
    return f"{int(address) >> SITE:x}::" if isinstance(address, IPv6Address) else str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its port, and as IPv4 if it is one in IPv6's notation; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:  # a socket's name, "unknown", or nonsense
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


@cache
def warn_of_proxies() -> None:
    """Once a process."""
    logger.warning(
        "Requests bring X-Forwarded-For and SESSREC['NUM_PROXIES'] is not set: no client is limited by its "
        "address. Set it to the number of reverse proxies before Django, 0 for none"
    )
