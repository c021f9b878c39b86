"""The visitor's answer to the consent banner, kept in a cookie that holds the answer and nothing else."""

from typing import Literal

from django.http import HttpRequest, HttpResponse

COOKIE = "consent"
HALF_A_YEAR = 182 * 24 * 3600

Answer = Literal["session", "none"]


def answer(request: HttpRequest) -> Answer | None:
    """What the visitor chose, None while she has not."""
    given = request.COOKIES.get(COOKIE)
    return given if given in ("session", "none") else None


def remember(request: HttpRequest, response: HttpResponse, given: Answer) -> None:
    response.set_cookie(
        COOKIE, given, max_age=HALF_A_YEAR, secure=request.is_secure(), httponly=True, samesite="Lax"
    )
