"""System checks: a wrong configuration gives a numbered message with a hint, not a traceback."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, register

from django_sessrec.checks import installation, settings
from django_sessrec.checks.messages import NOT_A_DICT
from django_sessrec.conf import sessrec_settings


@register("sessrec")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """SESSREC itself: known keys, right types, paths that lead somewhere."""
    if not isinstance(sessrec_settings.given, dict):
        return [NOT_A_DICT("SESSREC must be a dict.", 'Write SESSREC = {"CATALOGUE": "..."}.')]
    return list(settings.findings())


@register("sessrec")
def check_installation(**kwargs: Any) -> list[CheckMessage]:
    """The project around the app: database, middleware, URLs."""
    if not isinstance(sessrec_settings.given, dict):
        return []  # check_settings reports it
    return list(installation.findings())
