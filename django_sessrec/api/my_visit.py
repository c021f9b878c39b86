"""my-visit/: the page on which visitors see what is kept of their visit, and have it erased."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from django_sessrec.api.permissions import is_from_the_shop
from django_sessrec.api.throttling import admitted
from django_sessrec.api.views import SeeOther, level_of
from django_sessrec.capture import cookie, stream
from django_sessrec.capture_models import Quarantine
from django_sessrec.catalogue import get_catalogue
from django_sessrec.models import EventName
from django_sessrec.privacy.erasure import erase
from django_sessrec.privacy.explanation import explain_visit
from django_sessrec.privacy.kept_data import LatestData, Row, latest_data
from django_sessrec.safety import UnsupportedError, isolated, log
from django_sessrec.serving.candidate import BY_HAND, MODEL
from django_sessrec.serving.titles import usual_title

MAX_EVENTS: Final = 100  # on the page, the latest; the file has all
MAX_LISTS: Final = 20
NAMES: Final[Mapping[str, Any]] = dict(EventName.choices)
REASONS: Final[Mapping[str, Any]] = dict(Quarantine.Reason.choices)


@dataclass(frozen=True, slots=True)
class Product:
    """One that was clicked or shown: its name and page where the shop still shows it, else its id alone."""

    title: str | SafeString
    url: str


@dataclass(frozen=True, slots=True)
class Deed:
    """An event in a visitor's words."""

    at: datetime
    name: str
    product: Product | None
    quantity: int
    price: Any  # a Decimal, or None
    currency: str


@dataclass(frozen=True, slots=True)
class ShownList:
    """A list that the visitor was shown."""

    at: datetime
    title: str
    products: list[Product]


@csrf_exempt  # a form of another site is refused by where it comes from, without a cookie
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def my_visit(request: HttpRequest) -> HttpResponse:
    """The page; a form of its own posts here to have the visit erased. Works without JavaScript."""
    if request.method == "POST" and not is_from_the_shop(request, browsers_only=True):
        raise PermissionDenied("A visit is erased from the shop's own pages only.")
    session_id = cookie.presented(request)
    if session_id and not admitted(request, "THROTTLE_RECOMMENDATIONS"):
        return _page(request, {"refusal": "busy"}, HTTPStatus.TOO_MANY_REQUESTS)
    try:
        if request.method == "POST":
            return _erased(request, session_id)
        kept = latest_data(session_id, events=MAX_EVENTS, impressions=MAX_LISTS)
        return _page(request, _told(request, kept) | {"erased": _outcome(request, session_id)})
    except (Error, UnsupportedError) as error:
        log("could not show or erase what is kept of a visit", error)
        return _page(request, {"refusal": "unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)


def _erased(request: HttpRequest, session_id: UUID | None) -> HttpResponse:
    if session_id:
        erase(session_id)
    response = SeeOther(f"{reverse('sessrec:my_visit')}?erased={'yes' if session_id else 'no'}")
    cookie.delete(request, response)
    return response


def _outcome(request: HttpRequest, session_id: UUID | None) -> str:
    """Whether the form that led here has erased a visit, "yes" or "no"; empty once another one has begun."""
    return "" if session_id else request.GET.get("erased", "")


def _page(request: HttpRequest, told: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    told |= {"request": request}  # for the tags, in a shop without the context processor
    return render(request, "sessrec/my_visit.html", told, status=status)


def _told(request: HttpRequest, kept: LatestData) -> dict[str, Any]:
    """What the page's template tells."""
    shown_ids = {item_id for each in kept.impressions for item_id in each["item_ids"]}
    viewed_ids = {each["item_id"] for each in kept.events if each["item_id"]}
    products = _products(shown_ids | viewed_ids, request)
    return {
        "kept": kept,
        "is_kept": any(
            (kept.events, kept.impressions, kept.failed_count, kept.quarantine, kept.withdrawn_at)
        ),
        "deeds": [_deed(each, products) for each in kept.events],
        "lists": [_shown_list(each, products) for each in kept.impressions],
        "quarantine": _quarantine(kept.quarantine),
        "comes_late": stream.configured(),
        "visit": explain_visit(level_of(request), request),
    }


def _quarantine(found: Row | None) -> Any:
    """Why suggestions do not learn from the visit; "" where they do, as after staff released it."""
    if found is None or found["released_at"] is not None:
        return ""
    return REASONS.get(found["reason"], found["reason"])


def _deed(event: Row, products: dict[str, Product]) -> Deed:
    return Deed(
        event["occurred_at"],
        str(NAMES.get(event["name"], event["name"])),
        products.get(event["item_id"]),
        event["quantity"],
        event["price"],
        event["currency"],
    )


def _shown_list(impression: Row, products: dict[str, Product]) -> ShownList:
    shown = [products[item_id] for item_id in impression["item_ids"]]
    of_one_step = len({*impression["reasons"]} - BY_HAND) == 1
    return ShownList(impression["shown_at"], usual_title(impression["step"] if of_one_step else MODEL), shown)


def _products(item_ids: Collection[str], request: HttpRequest) -> dict[str, Product]:
    products = {item_id: Product(item_id, "") for item_id in item_ids}
    with isolated("name the products of a visit"):
        products |= _described(item_ids, request)
    return products


def _described(item_ids: Iterable[str], request: HttpRequest) -> dict[str, Product]:
    catalogue = get_catalogue()
    described = {}
    for item_id, item in catalogue.resolve(list(item_ids), request).items():
        with isolated("describe an item", about=item_id):
            fields = catalogue.describe(item, request)
            described[item_id] = Product(fields["title"], fields["url"])
    return described
