"""The consent level of a request: contextual unless the visitor chose otherwise."""

from __future__ import annotations

from typing import Final, Literal

from django.http import HttpRequest

from django_sessrec.capture import cookie
from django_sessrec.conf import sessrec_settings
from django_sessrec.safety import log, warn

Level = Literal["contextual", "session"]
CONTEXTUAL: Final = "contextual"  # no cookie, no row, no id
SESSION: Final = "session"  # first-party cookie, events, session-based lists
ANSWERS: Final = (None, "none", "session", "opt-in")  # of the shop's function


def level(request: HttpRequest) -> Level:
    """The request's level, from what SESSREC["CONSENT"] answers to it.

    "none" is no; "session" is yes unless the browser sends Sec-GPC: 1; "opt-in" is the visitor's own,
    explicit yes, which beats that signal. No callable, another answer or an exception: contextual.
    A visitor who has switched personalisation off is contextual whatever else was answered.
    """
    return SESSION if _allows(_answer(request), request) else CONTEXTUAL


def refused(request: HttpRequest) -> bool:
    """Whether visitor or shop have answered no; an unset or failing callable answers nothing."""
    answer = _answer(request)
    return answer is not None and not _allows(answer, request)


def sends_gpc(request: HttpRequest) -> bool:
    """Whether the browser sends Global Privacy Control; its specification knows the exact value 1 only."""
    return request.META.get("HTTP_SEC_GPC") == "1"


def gpc_prevails(request: HttpRequest) -> bool:
    """Whether only Sec-GPC: 1 stands between the shop's answer and a session, the visitor's switch apart."""
    return sends_gpc(request) and _shops_answer(request) == "session"


def _allows(answer: str | None, request: HttpRequest) -> bool:
    return answer == "opt-in" or (answer == "session" and not sends_gpc(request))


def _answer(request: HttpRequest) -> str | None:
    return "none" if cookie.switched_off(request) else _shops_answer(request)


def _shops_answer(request: HttpRequest) -> str | None:
    try:
        ask = sessrec_settings.imported("CONSENT")
        answer: str | None = ask(request) if ask else None
        understood = answer in ANSWERS
    except Exception as error:
        log(f"SESSREC['CONSENT'] = {sessrec_settings.CONSENT!r} failed; the visit is contextual", error)
        return None
    if not understood:
        remedy = "let it return 'none', 'session' or 'opt-in'"
        warn("SESSREC['CONSENT'] answered %.40r, which counts as no: %s", answer, remedy)
    return answer
