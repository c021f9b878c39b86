"""Checks of SESSREC itself, from the settings' declarations: known keys, types, ranges, dotted paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from inspect import isabstract, iscoroutinefunction
from itertools import chain
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.db.models import IntegerField
from django.template import TemplateDoesNotExist, TemplateSyntaxError

from django_sessrec.catalogue import Catalogue, ModelCatalogue
from django_sessrec.checks import messages
from django_sessrec.checks.dotted_paths import imported, unimported
from django_sessrec.checks.templates import labels_sponsored
from django_sessrec.conf import (
    EVENT_WEIGHT_DEFAULTS,
    MODEL_SETTINGS,
    PLACEMENT_DEFAULTS,
    SETTINGS,
    entries,
    sessrec_settings,
)
from django_sessrec.conf.setting import Setting, unknown_keys
from django_sessrec.recsys.recommender import Recommender

# As browsers write it, because it is compared as text: a scheme's own port is left out.
ORIGIN = re.compile(r"(?!https://.*:443$|http://.*:80$)[a-z][a-z0-9+.-]*://[^/?#*\sA-Z]+")
NAME = re.compile(r"\w[\w.-]*")  # of a model or a placement: in addresses, and in names of files
CREDENTIALS = re.compile(r"(?<=//)[^/\s]*(?=@)")  # of a server's address
Table = Mapping[str, Setting[Any]]


def findings() -> Iterator[CheckMessage]:
    """All that is wrong in SESSREC, which is a dict."""
    yield from _keys("SESSREC", sessrec_settings.given, SETTINGS)
    yield from _keys("SESSREC['QUARANTINE']", _mapping(sessrec_settings.QUARANTINE), entries.QUARANTINE)
    yield from _keys("SESSREC['ALARMS']", _mapping(sessrec_settings.ALARMS), entries.ALARMS)
    yield from _event_weights("SESSREC['EVENT_WEIGHTS']", _mapping(sessrec_settings.EVENT_WEIGHTS), {})
    yield from _catalogue()
    yield from _callables()
    yield from _clients()
    yield from _cookie()
    yield from _origins()
    yield from _models()
    yield from _placements()
    yield from _unused_models()


def _keys(where: str, given: Mapping[str, Any], table: Table) -> Iterator[CheckMessage]:
    """Unknown keys, and values of a wrong type or out of range, of one dict."""
    for key, hint in unknown_keys(given, table):
        yield messages.UNKNOWN_KEY(f"{where} has an unknown key {key!r}.", hint)
    for key, value in given.items():
        if (setting := table.get(key)) is None:
            continue
        such_as = f", such as {setting.default!r}." if setting.default not in (None, "") else "."
        if not setting.takes(value):
            yield messages.WRONG_TYPE(
                f"{where}[{key!r}] is {value!r}, of type {type(value).__name__}.",
                f"Give it a value of type {setting.type_names}{such_as}",
            )
        elif not setting.in_range(value):
            what = "Write it as" if setting.form else f"Give it a number ({setting.type_names})"
            yield messages.OUT_OF_RANGE(
                f"{where}[{key!r}] = {CREDENTIALS.sub('**', repr(value))} is out of range.",
                f"{what} {setting.range_words}{such_as}",
            )


def _catalogue() -> Iterator[CheckMessage]:
    path: Any = sessrec_settings.CATALOGUE
    if not path:
        yield messages.NO_CATALOGUE(
            "SESSREC['CATALOGUE'] is missing.",
            "Subclass django_sessrec.catalogue.ModelCatalogue and name the class by its dotted path.",
        )
        return
    if not isinstance(path, str):  # a finding about its type reports it
        return
    found, problems = imported("SESSREC['CATALOGUE']", path)
    yield from problems
    if problems:
        return
    if not (isinstance(found, type) and issubclass(found, Catalogue)):
        yield messages.WRONG_KIND(
            f"{path} is not a Catalogue.", "Subclass django_sessrec.catalogue.Catalogue."
        )
    elif isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        yield messages.WRONG_KIND(f"{path} does not implement {missing}.", "Implement it in your subclass.")
    elif issubclass(found, ModelCatalogue):
        yield from _model_catalogue(path, found)


def _model_catalogue(path: str, catalogue: type[ModelCatalogue]) -> Iterator[CheckMessage]:
    """The model and the fields that the class names."""
    try:
        model = apps.get_model(catalogue.model)
    except (AttributeError, LookupError, ValueError) as problem:
        yield messages.CATALOGUE_FIELD(
            f"{path}.model names no model: {problem}", 'Set it to "app_label.Model", as in INSTALLED_APPS.'
        )
        return
    fields = {field.name for field in model._meta.get_fields()}
    columns = fields | {field.attname for field in model._meta.concrete_fields} | {"pk"}
    readable = columns | set(dir(model)) | _annotations(catalogue)
    queried = ("id_field", "category_field", "parent_field", "created_field")
    shown = ("title_field", "image_field", "price_field", "brand_field", "stock_field")
    for name in (*queried, *shown):
        field = getattr(catalogue, name)
        if not isinstance(field, str):  # None, or a property of the shop's own
            continue
        if field not in (columns if name in queried else readable):
            close = get_close_matches(field, sorted(fields), 1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Fields: {', '.join(sorted(fields))}."
            yield messages.CATALOGUE_FIELD(
                f"{path}.{name} = {field!r}, which {model.__name__} does not have.", hint
            )

    key = getattr(model._meta.pk, "target_field", model._meta.pk)
    if (
        catalogue.newest is ModelCatalogue.newest
        and catalogue.created_field == "pk"
        and not isinstance(key, IntegerField)
    ):
        yield messages.NO_ORDER(
            f"{path} takes the greatest keys for the newest products, and {model.__name__}'s are no numbers.",
            "Name the field that tells when a product came as created_field, or override newest().",
        )
    described = catalogue.url is not Catalogue.url or catalogue.describe is not ModelCatalogue.describe
    if not described and not hasattr(model, "get_absolute_url"):
        yield messages.NO_ADDRESS(
            f"{path} can't tell the address of a {model.__name__}: no product can be shown.",
            f"Write {model.__name__}.get_absolute_url(), or url() in the catalogue.",
        )


def _annotations(catalogue: type[ModelCatalogue]) -> set[str]:
    """What the shop's own queryset adds to each product; nothing where it can't be made without a request."""
    try:
        return set(catalogue().queryset().query.annotations)
    except Exception:  # the shop's code: it may raise anything, and the doctor tries it for real
        return set()


def _callables() -> Iterator[CheckMessage]:
    for key in ("CONSENT", "CUSTOMER_GROUP", "IGNORE_REQUEST"):
        path = getattr(sessrec_settings, key)
        if path and isinstance(path, str):
            yield from _callable(f"SESSREC[{key!r}]", path, "a function of the request")
    if isinstance(path := sessrec_settings.ITEM_VECTORS, str):
        yield from unimported(f"SESSREC['ITEM_VECTORS'] = {path!r}", path)


def _callable(where: str, path: Any, wanted: str) -> Iterator[CheckMessage]:
    found, problems = imported(where, path) if isinstance(path, str) else (path, [])
    yield from problems
    if problems:
        return
    if not callable(found):
        yield messages.WRONG_KIND(f"{path} is not callable.", f"{where} names {wanted}.")
    elif iscoroutinefunction(found):
        yield messages.WRONG_KIND(
            f"{path} is a coroutine function, whose answer nobody awaits.",
            "Write it with def. Async pages call CONSENT in a thread, where it may query.",
        )


def _clients() -> Iterator[CheckMessage]:
    for key, client, extra in (
        ("STREAM_URL", "redis", "stream"),
        ("METRICS_TOKEN", "prometheus_client", "metrics"),
    ):
        if getattr(sessrec_settings, key) and find_spec(client) is None:
            yield messages.NO_CLIENT(
                f"SESSREC[{key!r}] needs {client}, which is not installed.",
                f'Run pip install "django-sessrec[{extra}]".',
            )


def _cookie() -> Iterator[CheckMessage]:
    if sessrec_settings.COOKIE_SAMESITE == "None" and sessrec_settings.COOKIE_SECURE is False:
        yield messages.INSECURE_SAMESITE(
            "Browsers refuse a cookie with SameSite=None that is not Secure: no session would be kept.",
            "Leave SESSREC['COOKIE_SECURE'] unset, or set it to True.",
        )


def _origins() -> Iterator[CheckMessage]:
    for origin in _list(sessrec_settings.TRUSTED_ORIGINS):
        if not (isinstance(origin, str) and origin.isascii() and ORIGIN.fullmatch(origin)):
            yield messages.NOT_AN_ORIGIN(
                f"SESSREC['TRUSTED_ORIGINS'] has {origin!r}, which no browser sends as its Origin.",
                "Write scheme, host and port in small letters, such as 'https://www.example.com'; no path, no"
                " slash at the end, no wildcard, no port 443 of https or 80 of http. A host of other letters"
                " is written as the browser does: 'https://xn--bcher-kva.example'.",
            )


def _models() -> Iterator[CheckMessage]:
    for name, model in _mapping(sessrec_settings.MODELS).items():
        where = f"SESSREC['MODELS'][{name!r}]"
        yield from _name(where, name)
        yield from _not_a_dict(where, model)
        model = _mapping(model)
        yield from _keys(where, model, MODEL_SETTINGS)
        if own := _mapping(model.get("EVENT_WEIGHTS")):
            of_all = _mapping(sessrec_settings.EVENT_WEIGHTS)
            yield from _event_weights(f"{where}['EVENT_WEIGHTS']", own, of_all)
        if not model.get("ESTIMATOR"):
            yield messages.NO_ESTIMATOR(
                f"{where} names no ESTIMATOR.", "Give the dotted path of an estimator class."
            )
        if isinstance(path := model.get("ESTIMATOR"), str):
            yield from unimported(f"{where}['ESTIMATOR'] = {path!r}", path)
        if isinstance(path := model.get("RECOMMENDER"), str):
            yield from _recommender(f"{where}['RECOMMENDER']", path)


def _name(where: str, name: Any) -> Iterator[CheckMessage]:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        yield messages.NOT_A_NAME(
            f"{where} has a name that can't stand in an address or a file's name.",
            "Use letters, digits, '_', '-' and '.', and neither '-' nor '.' at its start.",
        )


def _event_weights(
    where: str, given: Mapping[str, Any], inherited: Mapping[str, Any]
) -> Iterator[CheckMessage]:
    yield from _keys(where, given, entries.EVENT_WEIGHTS)
    weights = {**EVENT_WEIGHT_DEFAULTS, **inherited, **given}
    if not any(weights[key] for key in ("VIEW", "DWELL", "BASKET", "PURCHASE")):
        yield messages.OUT_OF_RANGE(
            f"{where} gives every event the weight 0, so that no click teaches anything.",
            "Give what should teach a weight above 0, such as 'VIEW': 1.0.",
        )


def _recommender(where: str, path: str) -> Iterator[CheckMessage]:
    """A class that opens a model's artifacts: web processes import it, so it is imported here, too."""
    found, problems = imported(where, path)
    yield from problems
    if problems:
        return
    if not (isinstance(found, type) and issubclass(found, Recommender)):
        yield messages.WRONG_KIND(
            f"{path} is not a Recommender.", "Subclass django_sessrec.recsys.Recommender."
        )
        return
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if not isinstance(getattr(found, "kind", None), str):
        missing.insert(0, "kind")
    if missing:
        hint = "Implement it in your subclass; kind is a text, which names the class in its artifacts."
        yield messages.WRONG_KIND(f"{path} does not implement {', '.join(missing)}.", hint)


def _placements() -> Iterator[CheckMessage]:
    for name, given in _mapping(sessrec_settings.PLACEMENTS).items():
        where = f"SESSREC['PLACEMENTS'][{name!r}]"
        yield from _name(where, name)
        yield from _not_a_dict(where, given)
        placement = _mapping(given)
        yield from _keys(where, placement, entries.PLACEMENT)
        yield from _placement(where, placement, {**PLACEMENT_DEFAULTS, **placement})
        if experiment := _mapping(placement.get("EXPERIMENT")):
            yield from _experiment(f"{where}['EXPERIMENT']", experiment, placement)


def _placement(where: str, given: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterator[CheckMessage]:
    """What a placement or a variant says itself: models, rules, template, the label of what is paid for."""
    known = _mapping(sessrec_settings.MODELS)
    for model in _list(given.get("MODELS")):
        if str(model) not in known:
            hint = f"Models in SESSREC['MODELS']: {', '.join(sorted(known))}."
            yield messages.UNKNOWN_MODEL(f"{where} uses the unknown model {model!r}.", hint)
    yield from _steps(where, _list(given.get("STEPS")))
    for path in _list(given.get("RULES")):
        yield from _callable(f"{where}['RULES']", path, "functions or classes of rules")
    if given.keys() & {"SPONSORED", "TEMPLATE"}:
        yield from _template(where, merged)


def _steps(where: str, steps: Iterable[Any]) -> Iterator[CheckMessage]:
    # Late: it imports the app's models, which are there once Django's apps are ready.
    from django_sessrec.serving.fallback import QUESTIONS

    for step in steps:
        if step not in QUESTIONS:
            hint = f"Steps: {', '.join(QUESTIONS)}."
            yield messages.UNKNOWN_STEP(f"{where} names the unknown step {step!r}.", hint)


def _unused_models() -> Iterator[CheckMessage]:
    from django_sessrec.serving.fallback import BASKET_MODEL, CO_VIEWS_MODEL  # late, as above

    asked: list[Any] = [[BASKET_MODEL, CO_VIEWS_MODEL]]
    for given in map(_mapping, _mapping(sessrec_settings.PLACEMENTS).values()):
        asked.append(given.get("MODELS", PLACEMENT_DEFAULTS["MODELS"]))
        variants = _mapping(_mapping(given.get("EXPERIMENT")).get("VARIANTS"))
        asked += [each["MODELS"] for each in map(_mapping, variants.values()) if "MODELS" in each]
    if len(asked) == 1 or not all(isinstance(each, list | tuple) for each in asked):
        return  # no placement at all, or another finding reports it
    used = {*map(str, chain(*asked))}
    for name in _mapping(sessrec_settings.MODELS):
        if name not in used:
            yield messages.UNUSED_MODEL(
                f"SESSREC['MODELS'] has {name!r}, which no placement, variant or step asks.",
                "Name it in the MODELS of a placement, or take it out. If only an experiment of the admin"
                " asks it, add sessrec.W045 to SILENCED_SYSTEM_CHECKS.",
            )


def _experiment(
    where: str, experiment: Mapping[str, Any], placement: Mapping[str, Any]
) -> Iterator[CheckMessage]:
    yield from _keys(where, experiment, entries.EXPERIMENT)
    variants = _mapping(experiment.get("VARIANTS"))
    if not experiment.get("NAME") or len(variants) < 2:
        yield messages.INCOMPLETE_EXPERIMENT(
            f"{where} is incomplete.", "Give it a NAME and at least two VARIANTS."
        )
    shares = [_mapping(each).get("SHARE") for each in variants.values()]
    if variants and (None in shares or not any(shares)):
        yield messages.INCOMPLETE_EXPERIMENT(
            f"{where} does not say which sessions get which variant.",
            "Give each variant a SHARE of 0 or more, and at least one of them more than 0.",
        )
    for name, given in variants.items():
        at = f"{where}['VARIANTS'][{name!r}]"
        yield from _not_a_dict(at, given)
        variant = _mapping(given)
        yield from _keys(at, variant, entries.VARIANT)
        yield from _placement(at, variant, {**PLACEMENT_DEFAULTS, **placement, **variant})


def _template(where: str, placement: Mapping[str, Any]) -> Iterator[CheckMessage]:
    template = placement["TEMPLATE"]
    if not isinstance(template, str):
        return
    try:
        labelled = labels_sponsored(template)
    except (TemplateDoesNotExist, TemplateSyntaxError, UnicodeDecodeError, OSError) as problem:
        hint = "Check its name, and that it is in a folder where templates are looked for."
        yield messages.NO_TEMPLATE(f"{where}['TEMPLATE'] = {template!r} does not load: {problem}", hint)
        return
    if _list(placement["SPONSORED"]) and not labelled:
        yield messages.NO_LABEL(
            f"{where} has SPONSORED items, and {template!r} does not say so beside them.",
            "Include sessrec/reason.html with each item, or ask for item.sponsored and show it.",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value, which counts as empty where it is no dict: another finding reports it."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


def _not_a_dict(where: str, value: Any) -> Iterator[CheckMessage]:
    if not isinstance(value, dict):
        yield messages.WRONG_TYPE(f"{where} is {value!r}, of type {type(value).__name__}.", "Give it a dict.")
