"""{% load sessrec %}: a placement's list on a page. No tag here can break the page it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final
from urllib.parse import urlencode

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from django_sessrec.capture import browser_views
from django_sessrec.capture.consent import CONTEXTUAL, SESSION, Level, gpc_prevails
from django_sessrec.capture.cookie import switched_off
from django_sessrec.capture.request_filters import is_known_staff, is_prefetch
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.privacy.explanation import explain, explain_visit
from django_sessrec.safety import never_raises
from django_sessrec.serving.categories import recommend_categories, rendered_categories
from django_sessrec.serving.debug_comment import why_no_list, why_unknown
from django_sessrec.serving.recommendations import Recommendations, recommend, rendered
from django_sessrec.serving.visit import listed, named_categories

# Characters of a placeholder's address: the script adds what stands elsewhere on the page, up to 3,500, and
# servers take lines of 4,000 and more.
LEFT_OUT_ROOM: Final = 2_500

register = template.Library()


@register.simple_tag(takes_context=True)
@never_raises("show recommendations", default="")
def sessrec_recommendations(
    context: Context,
    placement: str,
    item: Any = None,
    limit: int | str | None = None,
    category: Any = None,
    query: str = "",
    leave_out: Any = (),
) -> SafeString | str:
    """Render the placement's list; nothing where it is empty, but for a comment under DEBUG.

    leave_out: what it must not show, an id or an object of the shop, or several; what other lists of the page
    show is left out

    On a page that is fetched ahead the list is the same for everybody and stands in a placeholder: once the
    page is shown, the script brings the visitor's own, and records list and view.
    """
    request = context.get("request")
    asked = {"item": item, "limit": limit, "category": category, "query": query, "leave_out": leave_out}
    if request is not None and is_prefetch(request):
        return _shown_later(request, placement, asked)
    return rendered(recommend(request, placement, **asked), request)


@register.simple_tag(takes_context=True)
@never_raises("hand over recommendations", default=Recommendations(""))
def sessrec_list(
    context: Context,
    placement: str,
    item: Any = None,
    limit: int | str | None = None,
    leave_out: Any = (),
    category: Any = None,
    query: str = "",
) -> Recommendations:
    """Hand over the placement's list, for a template's own loop: {% sessrec_list "home" as recs %}."""
    return recommend(
        context.get("request"),
        placement,
        item=item,
        limit=limit,
        leave_out=leave_out,
        category=category,
        query=query,
    )


@register.simple_tag(takes_context=True)
@never_raises("leave a place for recommendations", default="", savepoints=True)
def sessrec_placeholder(
    context: Context,
    placement: str,
    item: Any = None,
    limit: int | str | None = None,
    category: Any = None,
    query: str = "",
    leave_out: Any = (),
) -> SafeString | str:
    """Leave the placement's place on a page that a cache keeps; the script of sessrec_scripts fills it.

    The list comes in the language of this page, whatever the browser prefers.
    """
    asked = {"item": item, "limit": limit, "category": category, "query": query, "leave_out": leave_out}
    return _place(context.get("request"), placement, asked)


@register.simple_tag(takes_context=True)
@never_raises("show categories", default="")
def sessrec_categories(
    context: Context,
    placement: str,
    item: Any = None,
    limit: int | str | None = None,
    category: Any = None,
    query: str = "",
    exclude: Any = None,
) -> SafeString | str:
    """Render the categories of what the placement may show; nothing where there are none.

    exclude: categories that it must not show, such as the page's own

    On a page that is fetched ahead it leaves a placeholder with what is the same for everybody.
    """
    request = context.get("request")
    asked = {"item": item, "limit": limit, "category": category, "query": query, "exclude": exclude}
    if request is None or not is_prefetch(request):
        return rendered_categories(recommend_categories(request, placement, **asked), request)
    asked = _with_item_of(request, asked)
    made = recommend_categories(None, placement, **asked)
    return _categories_place(placement, asked, rendered_categories(made, None))


@register.simple_tag
@never_raises("leave a place for categories", default="", savepoints=True)
def sessrec_categories_placeholder(
    placement: str,
    item: Any = None,
    limit: int | str | None = None,
    category: Any = None,
    query: str = "",
    exclude: Any = None,
) -> SafeString | str:
    """Leave the categories' place on a page that a cache keeps; the script of sessrec_scripts fills it."""
    asked = {"item": item, "limit": limit, "category": category, "query": query, "exclude": exclude}
    return _categories_place(placement, asked)


@register.simple_tag(takes_context=True)
@never_raises("explain recommendations", default="", savepoints=True)
def sessrec_why(context: Context, placement: str) -> SafeString | str:
    """Tell, folded up, what the placement's list is made from for this visitor."""
    request = context.get("request")
    session_id = getattr(getattr(request, "sessrec", None), "own_session_id", None)
    return render_to_string(
        "sessrec/why_fold.html",
        {
            "explanation": explain(placement, session_id),
            "visit": explain_visit(_level(request), request),
            "earlier_kept": _earlier_kept(request),
            "page": reverse("sessrec:why"),
        },
    )


@register.simple_tag(takes_context=True)
@never_raises("show the switch of personalisation", default="", savepoints=True)
def sessrec_toggle(context: Context) -> SafeString | str:
    """The form that switches personalisation off, or on again: no JavaScript, no CSRF cookie."""
    request = context.get("request")
    off = request is not None and switched_off(request)
    level = _level(request)
    return render_to_string(
        "sessrec/toggle.html",
        {
            "action": reverse("sessrec:personalisation"),
            "next": request.get_full_path() if request else "",
            "consent": level,
            "staff": request is not None and level == SESSION and is_known_staff(request),
            "switched_off": off,
            "gpc_prevails": request is not None and off and gpc_prevails(request),
        },
    )


@register.simple_tag
@never_raises("link the script", default="")
def sessrec_scripts() -> SafeString | str:
    """The ES module that fills placeholders and tells which lists were seen."""
    script = '<script type="module" src="{}" data-sessrec-events="{}"></script>'
    return format_html(script, static("sessrec/sessrec.js"), reverse("sessrec:events"))


@register.simple_tag
@never_raises("link the stylesheet", default="")
def sessrec_styles() -> SafeString | str:
    """The default list's stylesheet."""
    return format_html('<link rel="stylesheet" href="{}">', static("sessrec/sessrec.css"))


def _level(request: HttpRequest | None) -> Level:
    """The visit's consent level; a page that tells another one than most get is kept from shared caches."""
    tracker = getattr(request, "sessrec", None)
    if tracker is None:
        return CONTEXTUAL
    level: Level = SESSION if tracker.own_session_id else CONTEXTUAL
    if tracker.switched_off or level == SESSION:
        tracker.keep_private()
    return level


def _earlier_kept(request: HttpRequest | None) -> bool:
    """Whether an earlier session stays that this page adds nothing to; the page is then private."""
    tracker = getattr(request, "sessrec", None)
    if tracker is None or not tracker.earlier_session_stays:
        return False
    tracker.keep_private()
    return True


@never_raises("leave a place for recommendations", default="", savepoints=True)
def _shown_later(request: HttpRequest, placement: str, asked: Mapping[str, Any]) -> SafeString | str:
    asked = _with_item_of(request, asked)
    return _place(request, placement, asked, rendered(recommend(None, placement, **asked), request))


def _with_item_of(request: HttpRequest, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the item on screen, where the tag names none."""
    tracker = getattr(request, "sessrec", None)
    if asked["item"] is not None or tracker is None:
        return {**asked}
    return {**asked, "item": tracker.current_item}


def _place(
    request: Any, placement: str, asked: Mapping[str, Any], meanwhile: SafeString | str = ""
) -> SafeString | str:
    """The element that the script fills. `meanwhile`: what it shows until then."""
    if settings.DEBUG and why_unknown(placement):
        return why_no_list(placement)
    address = _address("sessrec:slot", placement, asked)
    item_id = "" if asked["item"] is None else get_catalogue().id_of(asked["item"])
    return format_html(
        '<div class="sessrec-placeholder" data-sessrec-slot="{}"{}>{}</div>',
        address,
        _view_left_to_the_browser(request, item_id),
        meanwhile,
    )


def _categories_place(
    placement: str, asked: Mapping[str, Any], meanwhile: SafeString | str = ""
) -> SafeString | str:
    if settings.DEBUG and why_unknown(placement):
        return why_no_list(placement)
    address = _address("sessrec:category_slot", placement, asked)
    return format_html('<div class="sessrec-placeholder" data-sessrec-slot="{}">{}</div>', address, meanwhile)


def _address(name: str, placement: str, asked: Mapping[str, Any]) -> str:
    """Where the script asks for the list."""
    catalogue, item = get_catalogue(), asked["item"]
    said = {
        "item_id": "" if item is None else catalogue.id_of(item),
        "limit": asked["limit"],
        "language": get_language() if settings.USE_I18N else None,
        "category": named_categories(asked["category"]),
        "query": asked["query"],
        "exclude": named_categories(asked.get("exclude")),
        "leave_out": _fitting(catalogue.ids_of(listed(asked.get("leave_out")))[:MAX_LIMIT]),
    }
    query = urlencode({key: value for key, value in said.items() if value}, doseq=True)
    return reverse(name, args=[placement]) + (f"?{query}" if query else "")


def _fitting(item_ids: list[str]) -> list[str]:
    """As many ids as an address has room for; the script's own come on top."""
    lengths = accumulate(len(urlencode({"leave_out": each})) + 1 for each in item_ids)
    return [each for each, length in zip(item_ids, lengths, strict=True) if length <= LEFT_OUT_ROOM]


def _view_left_to_the_browser(request: Any, item_id: str) -> SafeString | str:
    """Whoever gets this page from a cache views the item too, so the browser records it for everybody.

    The server then records nothing of this request: it gives no cookie, and the page stays cacheable.
    """
    tracker = getattr(request, "sessrec", None)
    if tracker is None or tracker.left_to_browser or not item_id or tracker.current_item != item_id:
        return ""
    tracker.left_to_browser = True
    return browser_views.mark(item_id)
