"""Checks of the project around the app: database, middleware, URLs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import URLPattern, URLResolver, get_resolver

from django_sessrec.checks import messages
from django_sessrec.conf import sessrec_settings

MIDDLEWARE = "django_sessrec.middleware.SessrecMiddleware"


def findings() -> Iterator[CheckMessage]:
    """All that is wrong around the app."""
    yield from _database()
    yield from _middleware()
    yield from _urls()


def _database() -> Iterator[CheckMessage]:
    alias = sessrec_settings.DATABASE
    if alias not in settings.DATABASES:
        known = ", ".join(settings.DATABASES)
        yield messages.UNKNOWN_DATABASE(
            f"SESSREC['DATABASE'] = {alias!r} is not in DATABASES.", f"Known: {known}."
        )
    elif connections[alias].vendor != "postgresql":
        yield messages.NOT_POSTGRES(
            f"django_sessrec needs PostgreSQL; DATABASES[{alias!r}] is {connections[alias].vendor}.",
            "Name a PostgreSQL database in SESSREC['DATABASE']; the shop's own may stay where it is. For"
            " tests on another product, silence this check: the app then stores nothing.",
        )
    elif alias != DEFAULT_DB_ALIAS and router.allow_migrate(alias, "contenttypes"):
        yield messages.NO_ROUTER(
            f"migrate --database {alias} would make all the shop's tables there, too.",
            'Add "django_sessrec.database.EventsRouter" to the end of DATABASE_ROUTERS.',
        )


def _middleware() -> Iterator[CheckMessage]:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield messages.NO_MIDDLEWARE(
            "The capture middleware is missing: no click is recorded.",
            f"Add {MIDDLEWARE!r} to the end of MIDDLEWARE.",
        )


def _urls() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    names = set(_view_names(get_resolver().url_patterns))
    tracked = sessrec_settings.TRACKED_VIEWS
    for view in tracked if isinstance(tracked, dict) else ():
        if view not in names:
            close = get_close_matches(str(view), names, 1)
            hint = (
                f"Did you mean {close[0]!r}?" if close else 'Use the name that reverse() takes, "app:name".'
            )
            yield messages.UNKNOWN_VIEW(
                f"SESSREC['TRACKED_VIEWS'] names {view!r}, which is no view's name.", hint
            )
    if "sessrec:events" not in names:
        yield messages.NO_URLS(
            "django_sessrec.urls is not included: placeholders, browser events and my-data do not work.",
            'Add path("sessrec/", include("django_sessrec.urls")) to the URLconf.',
        )


def _view_names(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            namespace = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from _view_names(pattern.url_patterns, namespace)
        elif pattern.name:
            yield f"{prefix}{pattern.name}"
