"""Base of the API's views: no login, JSON, bounded bodies, problem details."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from drf_spectacular.openapi import AutoSchema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from django_sessrec.api.exceptions import Malformed, TooLarge, problem
from django_sessrec.api.permissions import FromTheShop, is_from_the_shop
from django_sessrec.api.throttling import Throttled, admitted
from django_sessrec.capture import origins
from django_sessrec.capture.consent import CONTEXTUAL, SESSION, Level
from django_sessrec.capture.tracker import Tracker
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import swallowed

MAX_BODY = 48 * 1024  # bytes; browsers keep at most 64 KB of requests that outlive their page
PREFLIGHT_LASTS = 7_200  # seconds; Chromium keeps none longer
MAX_FIELDS = 10  # of a form


class BoundedJSON(BaseParser):
    """JSON of at most MAX_BODY, whatever the client calls it: sendBeacon can't always name the type."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return read_json(_bounded(stream))


class BoundedForm(BaseParser):
    """A form of a page: at most MAX_BODY and MAX_FIELDS, the last of a name counts."""

    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, str]:
        text = _bounded(stream).decode(errors="replace")
        try:
            return dict(parse_qsl(text, max_num_fields=MAX_FIELDS))
        except ValueError as error:
            raise Malformed(f"The body is not a form of ours: {error}") from None


class ShopEncoder(JSONEncoder):
    """JSON encoder that keeps prices' cents, and writes the shop's own types, such as Money, as text."""

    def default(self, obj: Any) -> Any:
        if isinstance(obj, Decimal):
            return str(obj)
        try:
            return super().default(obj)
        except TypeError:
            return str(obj)


class ShopJSON(JSONRenderer):
    encoder_class = ShopEncoder

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        """The answer's bytes. A product that the shop describes by what JSON can't hold is left out."""
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except Exception:
            if not isinstance(data, dict):
                raise
        held = {
            name: [*self._held(value)] if isinstance(value, list) else value for name, value in data.items()
        }
        return super().render(held, accepted_media_type, renderer_context)

    def _held(self, entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for each in entries:
            try:
                super().render(each)
            except Exception as error:
                name = each.get("item_id") or each.get("category")
                if not swallowed("write an entry of a list as JSON", error, about=f"it describes {name!r}"):
                    raise
            else:
                yield each

    @classmethod
    def response(cls, data: Any, status: int = HTTPStatus.OK) -> HttpResponse:
        """The response that REST framework would make of the data."""
        return HttpResponse(
            cls().render(data, cls.media_type, {}), status=status, content_type=cls.media_type
        )


def read_json(body: bytes) -> Any:
    """The JSON of a body; Malformed where it is none."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}") from None


class SeeOther(HttpResponseRedirect):
    """The answer to a form: the page to go on with, asked by GET."""

    status_code = HTTPStatus.SEE_OTHER


class AlwaysTheFirst(BaseContentNegotiation):
    """Content negotiation with one renderer, so that no request is refused."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class SessrecView(Throttled):
    """A view of this API. No answer is for who is signed in; capture alone asks, for it leaves out staff."""

    authentication_classes = ()
    permission_classes = (FromTheShop,)
    parser_classes: Sequence[type[BaseParser]] = (BoundedJSON,)
    renderer_classes = (ShopJSON,)
    content_negotiation_class = AlwaysTheFirst
    versioning_class = None
    schema = AutoSchema()
    browsers_only = False
    plain_method = "GET"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The plain answer where there is one, else the framework's.

        REST framework takes as long to read, check and render a request as a list takes to make. It answers
        whatever is not the usual request: errors, other methods, clients over their rate.
        """
        answer = None
        if request.method == self.plain_method:
            try:
                answer = self.plain(request, *args, **kwargs)
            except Exception as problem:
                return self._failed(request, problem)
        if answer is None:
            return super().dispatch(request, *args, **kwargs)
        answer["Allow"] = ", ".join(self.allowed_methods)
        answer["Cache-Control"] = "private, no-store"
        if sessrec_settings.TRUSTED_ORIGINS:
            _share(request, answer)
        return answer

    def plain(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        """The answer to a usual request of `plain_method` without REST framework; None leaves it to that."""
        return None

    def _failed(self, request: HttpRequest, problem: Exception) -> HttpResponseBase:
        """REST framework's answer to an exception of its own views."""
        framed = self.request = self.initialize_request(request)
        self.format_kwarg = None
        framed.accepted_renderer, framed.accepted_media_type = self.perform_content_negotiation(framed)
        self.headers = self.default_response_headers
        return self.finalize_response(framed, self.handle_exception(problem))

    def admits(self, request: HttpRequest) -> bool:
        """Whether a plain answer may be given: permitted, and counted as within its rate."""
        permitted = is_from_the_shop(request, browsers_only=self.browsers_only)
        return permitted and admitted(request, self.rate_setting)

    def perform_authentication(self, request: Request) -> None:
        """None: the framework would put an anonymous user over the shop's own."""

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return problem

    def finalize_response(  # type: ignore[override]  # a form is answered with Django's own redirect
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        patch_cache_control(response, private=True, no_store=True)
        if sessrec_settings.TRUSTED_ORIGINS:
            _share(request._request, response)
        return response

    def options(  # type: ignore[override]  # the framework wraps the request
        self, request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        """What a browser asks before another origin's script may call: the headers say it."""
        return Response(status=HTTPStatus.NO_CONTENT)


def tracker_of(request: HttpRequest) -> Tracker | None:
    """request.sessrec; None where the middleware is missing, which a system check reports."""
    return getattr(request, "sessrec", None)


def level_of(request: HttpRequest) -> Level:
    """The consent level at which the request is served: contextual also where it may begin no session."""
    tracker = tracker_of(request)
    return SESSION if tracker and tracker.own_session_id else CONTEXTUAL


def _share(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the scripts of a trusted origin read the response, and send the session's cookie (CORS)."""
    patch_vary_headers(response, ["Origin"])
    if origins.is_trusted(request):
        response["Access-Control-Allow-Origin"] = origins.origin_of(request)
        response["Access-Control-Allow-Credentials"] = "true"
        response["Access-Control-Expose-Headers"] = "Sessrec-Consent"
        if request.method == "OPTIONS":
            response["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
            response["Access-Control-Allow-Headers"] = "Content-Type"
            response["Access-Control-Max-Age"] = str(PREFLIGHT_LASTS)


def _bounded(stream: Any) -> bytes:
    body: bytes = stream.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise TooLarge(f"The body is larger than {MAX_BODY} bytes: send it in parts.")
    return body


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
