"""Checks of the project around the app: database, middleware, URLs, folder of models."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, InvalidStorageError, Storage, storages
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import (
    NoReverseMatch,
    Resolver404,
    URLPattern,
    URLResolver,
    get_resolver,
    get_script_prefix,
    resolve,
    reverse,
)
from django.urls.resolvers import RegexPattern
from psycopg import IsolationLevel

from django_sessrec.checks import messages
from django_sessrec.conf import sessrec_settings

MIDDLEWARE = "django_sessrec.middleware.SessrecMiddleware"
TEMPLATES = "django.template.backends.django.DjangoTemplates"
REQUEST = "django.template.context_processors.request"
EVENTS = "sessrec:events"  # one of the app's views for all of them
TRAIN_DUE = "django_sessrec.tasks.train_due"
STRICTER_LEVELS = (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)
PUBLIC_STORAGES = {"default", "staticfiles"}  # of media and static files


def findings() -> Iterator[CheckMessage]:
    """All that is wrong around the app."""
    yield from _database()
    yield from _isolation_level()
    yield from _middleware()
    yield from _templates()
    yield from _urls()
    yield from _artifacts()
    yield from _artifacts_storage()
    yield from _time_zones()
    yield from _train_queue()
    yield from _log()


def _database() -> Iterator[CheckMessage]:
    alias: Any = sessrec_settings.DATABASE  # as it is given, of any type
    if not isinstance(alias, str):  # a finding about its type reports it
        return
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


def _isolation_level() -> Iterator[CheckMessage]:
    """The app's own transactions are of READ COMMITTED; it may also be called inside of the shop's."""
    alias: Any = sessrec_settings.DATABASE
    database: Any = settings.DATABASES.get(alias, {}) if isinstance(alias, str) else {}
    if database.get("OPTIONS", {}).get("isolation_level") in STRICTER_LEVELS:
        yield messages.SNAPSHOTS(
            f"OPTIONS['isolation_level'] of DATABASES[{alias!r}] is stricter than READ COMMITTED: what is"
            " stored inside a transaction of the shop's own does not see that its session was withdrawn"
            " meanwhile.",
            "Leave it out there, or name a database of the events' own in SESSREC['DATABASE'].",
        )


def _middleware() -> Iterator[CheckMessage]:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield messages.NO_MIDDLEWARE(
            "The capture middleware is missing: no click is recorded.",
            f"Add {MIDDLEWARE!r} to the end of MIDDLEWARE.",
        )


def _templates() -> Iterator[CheckMessage]:
    """One engine with the request is enough: another may be for mails."""
    options = [each.get("OPTIONS", {}) for each in settings.TEMPLATES if each.get("BACKEND") == TEMPLATES]
    if options and not any(REQUEST in each.get("context_processors", ()) for each in options):
        yield messages.NO_REQUEST(
            "Templates do not get the request: no list in a template follows the session.",
            f"Add {REQUEST!r} to the context_processors in TEMPLATES.",
        )


def _urls() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    views: dict[str, set[str]] = {}
    for name, arguments in _views(get_resolver().url_patterns):
        views.setdefault(name, set()).update(arguments)
    tracked = sessrec_settings.TRACKED_VIEWS
    for view, argument in (tracked if isinstance(tracked, dict) else {}).items():
        if view not in views:
            close = get_close_matches(str(view), views, 1)
            hint = (
                f"Did you mean {close[0]!r}?" if close else 'Use the name that reverse() takes, "app:name".'
            )
            yield messages.UNKNOWN_VIEW(
                f"SESSREC['TRACKED_VIEWS'] names {view!r}, which is no view's name.", hint
            )
        elif not isinstance(argument, str) or argument not in views[view]:
            known = ", ".join(map(repr, sorted(views[view]))) or "none: name one in the route"
            yield messages.UNKNOWN_ARGUMENT(
                f"SESSREC['TRACKED_VIEWS'][{view!r}] = {argument!r} is no argument of that view's route.",
                f"Arguments of the route: {known}.",
            )
    if problem := _unreachable(views):
        yield messages.NO_URLS(
            f"{problem}: placeholders, browser events and my-data do not work.",
            "Include them first, at the end of the URLconf:"
            ' urlpatterns = [path("sessrec/", include("django_sessrec.urls")), *urlpatterns]',
        )


def _unreachable(views: Container[str]) -> str:
    """Why requests for the app's addresses do not reach it; empty where they do."""
    if EVENTS not in views:
        return "django_sessrec.urls is not included"
    try:
        address = reverse(EVENTS)
        view = resolve(address.replace(get_script_prefix(), "/", 1)).view_name
    except (NoReverseMatch, Resolver404):  # the shop's prefix has arguments, whose values only a request has
        return ""
    return "" if view == EVENTS else f"{address} is answered by {view!r}, by a route above the app's"


def _views(
    patterns: Iterable[URLPattern | URLResolver], prefix: str = "", outer: Set[str] = frozenset()
) -> Iterator[tuple[str, Set[str]]]:
    """Each named view, as reverse() takes it, with the arguments that its route gives it."""
    for pattern in patterns:
        arguments = outer | _arguments(pattern)
        if isinstance(pattern, URLResolver):
            namespace = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from _views(pattern.url_patterns, namespace, arguments)
        elif pattern.name:
            yield f"{prefix}{pattern.name}", arguments


def _arguments(pattern: URLPattern | URLResolver) -> Set[str]:
    """Those of a path(), of a re_path()'s named groups, and the extra ones of either."""
    extra = pattern.default_args if isinstance(pattern, URLPattern) else pattern.default_kwargs
    groups = pattern.pattern.regex.groupindex if isinstance(pattern.pattern, RegexPattern) else ()
    return {*pattern.pattern.converters, *groups, *extra}


def _artifacts() -> Iterator[CheckMessage]:
    try:
        folder = sessrec_settings.artifacts
    except TypeError:  # another finding reports a value of the wrong type
        return
    if not folder.is_absolute():
        yield messages.RELATIVE_ARTIFACTS(
            f"The folder of models, {str(folder)!r}, depends on the working directory: web and training"
            " processes may not find each other's.",
            "Set SESSREC['ARTIFACTS'] to an absolute path, or BASE_DIR.",
        )
        return
    for name in ("MEDIA_ROOT", "STATIC_ROOT"):
        root = getattr(settings, name, None)
        if root and folder.resolve().is_relative_to(Path(root).resolve()):
            yield messages.PUBLIC_ARTIFACTS(
                f"The folder of models, {str(folder)!r}, is below {name}, which is served to everybody.",
                "Set SESSREC['ARTIFACTS'] to a folder outside it.",
            )


def _artifacts_storage() -> Iterator[CheckMessage]:
    """A storage that others may read hands them what visitors click together."""
    alias: Any = sessrec_settings.ARTIFACTS_STORAGE
    if alias is None or not isinstance(alias, str):  # a finding about its type reports it
        return
    try:
        storage = storages[alias]
    except (InvalidStorageError, ImproperlyConfigured, TypeError) as problem:
        known = ", ".join(sorted({*settings.STORAGES} - PUBLIC_STORAGES)) or "none beside the public ones"
        yield messages.UNKNOWN_STORAGE(
            f"SESSREC['ARTIFACTS_STORAGE'] = {alias!r} is no storage: {problem}", f"In STORAGES: {known}."
        )
        return
    if reason := _unfit(alias, storage):
        yield messages.UNFIT_STORAGE(
            f"SESSREC['ARTIFACTS_STORAGE'] = {alias!r} {reason}.",
            "Add a storage of its own to STORAGES, which no web server serves.",
        )


def _unfit(alias: str, storage: Storage) -> str:
    """Why models must not go into this storage; empty where they may."""
    if alias in PUBLIC_STORAGES:
        return "is the storage of files that are served to everybody"
    if str(getattr(storage, "default_acl", "") or "").startswith("public"):
        return f"gives its files the ACL {storage.default_acl!r}"  # type: ignore[attr-defined]
    if isinstance(storage, FileSystemStorage):
        location = Path(storage.location).resolve()
        if location == sessrec_settings.artifacts.resolve():
            return "is the folder ARTIFACTS itself, into which it is fetched"
        roots = [Path(root).resolve() for root in (settings.MEDIA_ROOT, settings.STATIC_ROOT) if root]
        if any(location.is_relative_to(root) for root in roots):
            return f"is the folder {str(location)!r}, which is served to everybody"
    return ""


def _time_zones() -> Iterator[CheckMessage]:
    if not settings.USE_TZ:
        yield messages.NO_TIME_ZONES(
            "USE_TZ is False: the admin and training runs would fail on times without a zone.",
            "Set USE_TZ = True, Django's default. TIME_ZONE may be any.",
        )


def _train_queue() -> Iterator[CheckMessage]:
    """The queue that schedule() wrote down while the settings were read, against the one of today."""
    schedule = getattr(settings, "CELERY_BEAT_SCHEDULE", None)
    for name, entry in (schedule if isinstance(schedule, dict) else {}).items():
        if not isinstance(entry, dict) or entry.get("task") != TRAIN_DUE:
            continue
        queue = (entry.get("options") or {}).get("queue", sessrec_settings.TRAIN_QUEUE)
        if queue != sessrec_settings.TRAIN_QUEUE:
            yield messages.WRONG_QUEUE(
                f"CELERY_BEAT_SCHEDULE[{name!r}] sends training runs to the queue {queue!r}, and"
                f" SESSREC['TRAIN_QUEUE'] is {sessrec_settings.TRAIN_QUEUE!r}.",
                "Call django_sessrec.tasks.schedule() below the last line that changes SESSREC.",
            )


def _log() -> Iterator[CheckMessage]:
    if logging.getLogger("django_sessrec").disabled:
        yield messages.NO_LOG(
            "LOGGING disables the app's logger, which was there before it: no outage or error is logged.",
            'Set "disable_existing_loggers": False in LOGGING.',
        )
