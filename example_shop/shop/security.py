"""What a browser may load on our pages, and which forms may post to us."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class PageHeadersMiddleware(MiddlewareMixin):
    """A page loads only what this shop serves itself, nothing inline, and is its visitor's own.

    Basket and banner come from her cookies, so a shared cache has to tell visitors apart.
    """

    def process_response(self, _request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ["Cookie"])
        return response


def same_origin_post(view: View[P]) -> View[P]:
    """Accept a POST from this shop's own pages only, without a CSRF cookie.

    Every page has a form in it (the consent banner). With Django's token each first visit would set a cookie
    before anybody agreed to one. Browsers name the origin of every POST, and a page can't forge it.
    """

    @csrf_exempt
    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        origin = request.headers.get("Origin", "")
        ours = origin == f"{request.scheme}://{request.get_host()}"
        if not ours and request.headers.get("Sec-Fetch-Site") != "same-origin":
            raise PermissionDenied(f"a form on {origin or 'an unnamed page'} may not post to this shop")
        return view(request, *args, **kwargs)

    return guarded
