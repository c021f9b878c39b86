"""Reasons in words, for cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from django_sessrec.recsys.recommender import Source

ALONE: Final[Mapping[str, str]] = {
    Source.VIEWED: gettext_noop("You viewed this"),
    Source.POPULAR: gettext_noop("Popular right now"),
    "trending": gettext_noop("Trending now"),
    "watched": gettext_noop("Others are looking at this"),
    "best_sellers": gettext_noop("Bestseller"),
    "new": gettext_noop("New in the shop"),
}
OF_AN_ITEM: Final[Mapping[str, str]] = {
    Source.NEIGHBOURS: gettext_noop("From other visits with %(title)s"),
    Source.CO_VIEWED: gettext_noop("Viewed together with %(title)s"),
    Source.BOUGHT_TOGETHER: gettext_noop("Bought together with %(title)s"),
    Source.NETWORK: gettext_noop("Similar to %(title)s"),
    Source.SESSION: gettext_noop("Because you viewed %(title)s"),
    "content": gettext_noop("Similar to %(title)s"),
    "same_category": gettext_noop("In the same category as %(title)s"),
}


def words(reason: str, title: str, translate: Callable[[str], str] = gettext) -> str:
    """The reason in the active language; empty where it has no words, or needs a title and there is none.

    title: of the item that spoke for it
    """
    if alone := ALONE.get(reason):
        return translate(alone)
    about = OF_AN_ITEM.get(reason) if title else None
    if about is None:
        return ""
    if isinstance(title, SafeString):  # of HTML that the shop vouches for
        return SafeString(conditional_escape(translate(about)) % {"title": title})
    return translate(about) % {"title": title}
