"""Views that the browser records, since the page that shows the item may come from a cache."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString


def mark(item_id: str) -> SafeString:
    """The attribute by which the script knows what to record."""
    return format_html(' data-sessrec-view="{}"', item_id)


def is_marked(response: HttpResponseBase, item_id: str) -> bool:
    """Whether the script records this view: a cache, or a fragment of one, may have brought the mark."""
    if response.streaming:
        return False
    content: bytes = response.content  # type: ignore[attr-defined]
    return f'data-sessrec-view="{escape(item_id)}"'.encode() in content
