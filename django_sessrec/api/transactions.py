"""The API's views without the shop's ATOMIC_REQUESTS."""

from collections.abc import Callable
from typing import TypeVar

from django.db import connections, transaction
from django.http.response import HttpResponseBase

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def outside_transactions(view: View) -> View:
    """The view without ATOMIC_REQUESTS, which asks the database before the view is asked.

    Where it is down that is an error 500, and each view of the API has an answer of its own then; what one
    writes is a transaction by itself.
    """
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
