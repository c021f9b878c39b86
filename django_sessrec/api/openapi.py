"""Description of a view in the schema, whatever schema class the shop's own REST views have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema

Method = TypeVar("Method", bound=Callable[..., Any])


def documented(**description: Any) -> Callable[[Method], Method]:
    """drf-spectacular's `extend_schema` for a view's method.

    By itself it builds on REST framework's DEFAULT_SCHEMA_CLASS, which by default is not its own: the
    schema then fails.
    """

    def describe(method: Method) -> Method:
        method.kwargs = {"schema": AutoSchema}  # type: ignore[attr-defined]
        described: Method = extend_schema(**description)(method)
        return described

    return describe
