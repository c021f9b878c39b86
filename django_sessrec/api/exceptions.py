"""Errors as problem details (RFC 9457), each with a code that programs can rely on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db import Error as DatabaseError
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from django_sessrec.safety import UnsupportedError, warn

CONTENT_TYPE = "application/problem+json"


class TooLarge(APIException):
    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class Malformed(APIException):
    status_code = HTTPStatus.BAD_REQUEST
    default_code = "malformed"


class UnknownPlacement(APIException):
    status_code = HTTPStatus.NOT_FOUND
    default_code = "unknown_placement"


class Unavailable(APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The database can't answer now: try again later."
    default_code = "unavailable"


def problem(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's answer as problem details; None, and so Django's own handling, for what is no API error."""
    if isinstance(exception, DatabaseError | UnsupportedError):
        warn("The API can't answer: %s", exception)
        exception = Unavailable()
    answer = exception_handler(exception, context)
    if answer is None:
        return None
    detail, code = _said(exception)
    answer.data = {
        "type": "about:blank",
        "title": HTTPStatus(answer.status_code).phrase,
        "status": answer.status_code,
        "detail": detail,
        "code": code,
    }
    answer.content_type = CONTENT_TYPE
    return answer


def _said(exception: Exception) -> tuple[str, str]:
    """The words and the code of an error; of several about the input, each with its field's name."""
    if isinstance(exception, ValidationError) and isinstance(exception.detail, dict):
        errors = (f"{field}: {_first(errors)}" for field, errors in exception.detail.items())
        return " ".join(errors), "invalid"
    if isinstance(exception, APIException):
        return _first(exception.detail), _first(exception.get_codes())
    return HTTPStatus.NOT_FOUND.phrase, "not_found"


def _first(found: Any) -> str:
    while isinstance(found, dict | list):
        found = next(iter(found.values() if isinstance(found, dict) else found))
    return str(found)
