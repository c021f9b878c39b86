"""Verbs of the sync API for async views."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def in_a_thread(verb: Callable[Parameters, Result]) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """The same for async views: the shop's consent and catalogue may query, which the event loop forbids."""

    @wraps(verb)
    async def awaited(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return await sync_to_async(verb)(*args, **kwargs)

    awaited.__name__ = f"a{verb.__name__}"
    awaited.__doc__ = f"{verb.__name__}() for async views, which await it."
    return awaited
