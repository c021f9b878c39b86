"""Permissions: the shop's own pages and TRUSTED_ORIGINS may call."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from django_sessrec.capture import origins


class FromTheShop(BasePermission):
    """Permission for the shop's own pages; other sites' are refused.

    A browser names where a request comes from in Sec-Fetch-Site, an older one in Origin. Without both it is
    no browser: that is fine for a shop's own server asking for a list, and not for events, which would let a
    script fill the tables with sessions that nobody made (`browsers_only` of the view).
    """

    message = "This address answers the shop's own pages only: see TRUSTED_ORIGINS."
    code = "foreign_origin"

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_from_the_shop(request._request, browsers_only=getattr(view, "browsers_only", False))


def is_from_the_shop(request: HttpRequest, *, browsers_only: bool) -> bool:
    """Whether FromTheShop permits the request."""
    if origins.is_trusted(request):
        return True
    if site := request.META.get("HTTP_SEC_FETCH_SITE"):
        # "none" is the address bar; nothing can be sent from there but GET
        return site == "same-origin" or (site == "none" and request.method in SAFE_METHODS)
    if origins.origin_of(request):
        return origins.is_own(request)
    return not browsers_only
