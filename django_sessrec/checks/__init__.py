"""System checks: a wrong set-up is a numbered message with a hint, not a traceback."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.db import connections
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from django_sessrec.catalogue import Catalogue
from django_sessrec.checks.templates import labels_sponsored
from django_sessrec.conf import (
    DEFAULTS,
    MODEL_DEFAULTS,
    PLACEMENT_DEFAULTS,
    QUARANTINE_DEFAULTS,
    sessrec_settings,
)

MIDDLEWARE = "django_sessrec.middleware.SessrecMiddleware"
MODEL_KEYS = {"ESTIMATOR", *MODEL_DEFAULTS}
RATE = re.compile(r"\d+/(s|m|h|d)\w*|")  # an empty one sets no bound
# What a setting may be where its default's own type does not tell.
TYPES: dict[str, type | tuple[type, ...]] = {
    "CATALOGUE": str,
    "CONSENT": str,
    "IGNORE_REQUEST": str,
    "COOKIE_DOMAIN": str,
    "ARTIFACTS": (str, Path),
    "STREAM_URL": str,
    "METRICS_TOKEN": str,
    "VALIDATION_FRACTION": (int, float),
    "GATE_TOLERANCE": (int, float),
    "MAX_ITEM_SHARE": (int, float),
    "ATTRIBUTION_HOURS": (int, float),
    "SESSION_IDLE_MINUTES": (int, float),
    "RETENTION_DAYS": (int, type(None)),
    "VISITS_PER_CLIENT": (int, type(None)),
    "EVERY_HOURS": (int, float),
    "REFRESH_HOURS": (int, float),
    "TITLE": (str, Promise),
    "FALLBACK_TITLE": (str, Promise),
    "MAX_PER_CATEGORY": int,
    "EXPERIMENT": dict,
}
MOST = {"VALIDATION_FRACTION": 0.5, "GATE_TOLERANCE": 1.0, "MAX_ITEM_SHARE": 1.0}
FEWEST_JUDGED = 2  # clicks; one click tells nothing
MAY_BE_ZERO = {"GATE_TOLERANCE", "PROXIES"}


def error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"sessrec.E{number:03}")


def warning(number: int, message: str, hint: str) -> Warning:
    return Warning(message, hint=hint, id=f"sessrec.W{number:03}")


@register("sessrec")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """SESSREC itself: known keys, right types, paths that lead somewhere."""
    if not isinstance(sessrec_settings.given, dict):
        return [error(1, "SESSREC must be a dict.", 'Write SESSREC = {"CATALOGUE": "..."}.')]
    return [
        *_unknown_keys("SESSREC", sessrec_settings.given, DEFAULTS),
        *_wrong_types("SESSREC", sessrec_settings.given, DEFAULTS),
        *_out_of_range(),
        *_catalogue(),
        *_callables(),
        *_rates(),
        *_clients(),
        *_quarantine(),
        *_models(),
        *_placements(),
    ]


@register("sessrec")
def check_installation(**kwargs: Any) -> list[CheckMessage]:
    """The project around the app: database, middleware, URLs."""
    if not isinstance(sessrec_settings.given, dict):
        return []  # check_settings says so
    return [*_database(), *_middleware(), *_urls()]


def _unknown_keys(where: str, given: Iterable[str], known: Iterable[str]) -> Iterator[CheckMessage]:
    known = sorted(known)
    for key in given:
        if key not in known:
            close = get_close_matches(str(key).upper(), known, 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."
            yield error(2, f"{where} has an unknown key {key!r}.", hint)


def _wrong_types(where: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for key, value in given.items():
        default = defaults.get(key)
        expected = TYPES.get(key, (list, tuple) if isinstance(default, list) else type(default))
        if key in defaults and value != default and not isinstance(value, expected):
            names = [each.__name__ for each in (expected if isinstance(expected, tuple) else (expected,))]
            yield error(
                3,
                f"{where}[{key!r}] is {value!r}, of type {type(value).__name__}.",
                f"Give it a value of type {' or '.join(names)}"
                + (f", such as {default!r}." if default is not None else "."),
            )


def _out_of_range() -> Iterator[CheckMessage]:
    for key, value in sessrec_settings.given.items():
        if not (isinstance(value, int | float) and isinstance(DEFAULTS.get(key), int | float)):
            continue
        most = MOST.get(key, math.inf)
        if not (0 < value <= most or (value == 0 and key in MAY_BE_ZERO)):
            bound = f" and at most {most}" if key in MOST else ""
            hint = f"Give it a number above 0{bound}, such as {DEFAULTS[key]!r}."
            yield error(15, f"SESSREC[{key!r}] = {value!r} is out of range.", hint)


def _catalogue() -> Iterator[CheckMessage]:
    path = sessrec_settings.CATALOGUE
    if not path:
        yield error(
            4,
            "SESSREC['CATALOGUE'] is missing.",
            "Subclass django_sessrec.catalogue.ModelCatalogue and name the class by its dotted path.",
        )
        return
    found, messages = _imported("CATALOGUE", path)
    yield from messages
    if not messages and not (isinstance(found, type) and issubclass(found, Catalogue)):
        yield error(5, f"{path} is not a Catalogue.", "Subclass django_sessrec.catalogue.Catalogue.")


def _callables() -> Iterator[CheckMessage]:
    for key in ("CONSENT", "IGNORE_REQUEST"):
        if path := getattr(sessrec_settings, key):
            found, messages = _imported(key, path)
            yield from messages
            if not messages and not callable(found):
                yield error(
                    5, f"{path} is not callable.", f"SESSREC[{key!r}] names a function of the request."
                )


def _rates() -> Iterator[CheckMessage]:
    for key in ("THROTTLE_EVENTS", "THROTTLE_RECOMMENDATIONS"):
        rate = getattr(sessrec_settings, key)
        if isinstance(rate, str) and not RATE.fullmatch(rate):
            yield error(3, f"SESSREC[{key!r}] is {rate!r}.", f"Write requests per period: {DEFAULTS[key]!r}.")


def _quarantine() -> Iterator[CheckMessage]:
    where, given = "SESSREC['QUARANTINE']", _mapping(sessrec_settings.QUARANTINE)
    yield from _unknown_keys(where, given, QUARANTINE_DEFAULTS)
    for rule, bound in given.items():
        if bound is not None and not (isinstance(bound, int) and bound >= FEWEST_JUDGED):
            hint = f"Give it a whole number from {FEWEST_JUDGED} on, or None to turn the rule off."
            yield error(15, f"{where}[{rule!r}] is {bound!r}.", hint)


def _clients() -> Iterator[CheckMessage]:
    for key, client, extra in (
        ("STREAM_URL", "redis", "stream"),
        ("METRICS_TOKEN", "prometheus_client", "metrics"),
    ):
        if getattr(sessrec_settings, key) and find_spec(client) is None:
            remedy = f'pip install "django-sessrec[{extra}]"'
            yield error(17, f"SESSREC[{key!r}] needs {client}, which is not installed.", f"Run {remedy}.")


def _imported(key: str, path: Any) -> tuple[Any, list[CheckMessage]]:
    try:
        return import_string(path), []
    except Exception as problem:  # the module is the shop's: it may raise anything
        hint = "Check the spelling, and that the module imports by itself."
        return None, [error(6, f"SESSREC[{key!r}] = {path!r} can't be imported: {problem}", hint)]


def _models() -> Iterator[CheckMessage]:
    for name, given in _entries("MODELS"):
        where = f"SESSREC['MODELS'][{name!r}]"
        model = _mapping(given)
        yield from _not_a_dict(where, given)
        yield from _unknown_keys(where, model, MODEL_KEYS)
        yield from _wrong_types(where, model, MODEL_DEFAULTS)
        path = model.get("ESTIMATOR")
        if not isinstance(path, str):
            yield error(7, f"{where} names no ESTIMATOR.", "Give the dotted path of an estimator class.")
        elif not _leads_somewhere(path):
            yield error(
                6,
                f"{where}['ESTIMATOR'] = {path!r} names nothing.",
                "Check the spelling of module and class.",
            )


def _placements() -> Iterator[CheckMessage]:
    for name, given in _entries("PLACEMENTS"):
        where = f"SESSREC['PLACEMENTS'][{name!r}]"
        placement = _mapping(given)
        yield from _not_a_dict(where, given)
        yield from _unknown_keys(where, placement, PLACEMENT_DEFAULTS)
        yield from _wrong_types(where, placement, PLACEMENT_DEFAULTS)
        experiment = _mapping(placement.get("EXPERIMENT"))
        variants = _mapping(experiment.get("VARIANTS"))
        if experiment and (not experiment.get("NAME") or len(variants) < 2):
            yield error(
                9, f"{where}['EXPERIMENT'] is incomplete.", "Give it a NAME and at least two VARIANTS."
            )
        yield from _label(where, {**PLACEMENT_DEFAULTS, **placement})
        lists = [_mapping(each).get("MODELS") for each in (placement, *variants.values())]
        used = {str(model) for models in lists if isinstance(models, list | tuple) for model in models}
        known_models = dict(_entries("MODELS"))
        for model in sorted(used - known_models.keys()):
            known = ", ".join(sorted(known_models))
            yield error(
                8, f"{where} uses the unknown model {model!r}.", f"Models in SESSREC['MODELS']: {known}."
            )


def _label(where: str, placement: Mapping[str, Any]) -> Iterator[CheckMessage]:
    template = placement["TEMPLATE"]
    if not placement["SPONSORED"] or not isinstance(template, str):
        return
    try:
        labelled = labels_sponsored(template)
    except (TemplateDoesNotExist, TemplateSyntaxError) as problem:
        hint = "Check its name, and that it is in a folder where templates are looked for."
        yield error(16, f"{where}['TEMPLATE'] = {template!r} does not load: {problem}", hint)
        return
    if not labelled:
        hint = "Include sessrec/reason.html with each item, or ask for item.sponsored and say it."
        yield error(17, f"{where} has SPONSORED items, and {template!r} does not say so beside them.", hint)


def _entries(key: str) -> Iterator[tuple[str, Any]]:
    yield from _mapping(getattr(sessrec_settings, key)).items()


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value, which counts as empty where it is no dict: another finding says so."""
    return value if isinstance(value, dict) else {}


def _not_a_dict(where: str, value: Any) -> Iterator[CheckMessage]:
    if not isinstance(value, dict):
        yield error(3, f"{where} is {value!r}, of type {type(value).__name__}.", "Give it a dict.")


def _leads_somewhere(path: str) -> bool:
    """Whether a dotted path names something, told without importing it: an estimator may import torch."""
    *modules, name = path.split(".")
    spec, folders = None, None
    for depth in range(len(modules)):
        spec = PathFinder.find_spec(".".join(modules[: depth + 1]), folders)
        if spec is None:
            return False
        folders = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return spec is not None
    return name in _names(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name that a module binds or mentions; strings too, for a lazy __getattr__."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Name(id=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name
            case ast.Constant(value=str(text)):
                yield text


def _database() -> Iterator[CheckMessage]:
    alias = sessrec_settings.DATABASE
    if alias not in settings.DATABASES:
        known = ", ".join(settings.DATABASES)
        yield error(10, f"SESSREC['DATABASE'] = {alias!r} is not in DATABASES.", f"Known: {known}.")
    elif connections[alias].vendor != "postgresql":
        yield error(
            11,
            f"django_sessrec needs PostgreSQL; DATABASES[{alias!r}] is {connections[alias].vendor}.",
            "Name a PostgreSQL database in SESSREC['DATABASE']; the shop's own may stay where it is.",
        )


def _middleware() -> Iterator[CheckMessage]:
    if MIDDLEWARE not in settings.MIDDLEWARE:
        yield error(
            12,
            "The capture middleware is missing: no click is recorded.",
            f"Add {MIDDLEWARE!r} to the end of MIDDLEWARE.",
        )


def _urls() -> Iterator[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return
    names = set(_view_names(get_resolver().url_patterns))
    for view in _mapping(sessrec_settings.TRACKED_VIEWS):
        if view not in names:
            close = get_close_matches(str(view), names, 1)
            hint = (
                f"Did you mean {close[0]!r}?" if close else 'Use the name that reverse() takes, "app:name".'
            )
            yield warning(13, f"SESSREC['TRACKED_VIEWS'] names {view!r}, which is no view's name.", hint)
    if "sessrec:events" not in names:
        yield warning(
            14,
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
