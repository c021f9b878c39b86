"""Examinations of the shop's side: settings, catalogue, consent and captured events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from itertools import chain
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import Error
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg.errors import QueryCanceled

from django_sessrec.capture import ledger
from django_sessrec.capture.consent import ANSWERS
from django_sessrec.capture.replay import replayable
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event
from django_sessrec.operations.findings import Code, Finding, ago, fail, ok, warn

SAMPLE = 20  # item ids of each event name
SAMPLED_FROM = 2_000  # newest events: some 30 baskets among them
FEW = 3  # item ids of an event name that may all be of products that are gone
PLACED = ("PINNED", "SPONSORED", "EXCLUDED")
LEDGER_DAYS = 7


def system_checks() -> Iterator[Finding]:
    messages = checks.run_checks(tags=["sessrec"])
    for message in messages:
        found = fail if message.level >= checks.ERROR else warn
        yield found(Code.SETTINGS_CHECK, f"{message.id}: {message.msg}", message.hint or "")
    if not messages:
        yield ok(Code.SETTINGS_VALID, _("Every check passes."))


def catalogue() -> Iterator[Finding]:
    """Whether the shop's catalogue knows and describes the item ids that are captured."""
    shop = get_catalogue()
    newest = Event.objects.exclude(item_id="").filter(bot=False).order_by("-pk")[:SAMPLED_FROM]
    captured: dict[str, list[str]] = {}
    for name, item_id in dict.fromkeys(newest.values_list("name", "item_id")):
        captured.setdefault(name, []).append(item_id)
    try:
        yield from _known(shop, {name: item_ids[:SAMPLE] for name, item_ids in captured.items()})
        yield from _placed(shop)
    except Error as problem:
        if not isinstance(problem.__cause__, QueryCanceled):
            raise  # of the database, which is not the catalogue's
        yield fail(
            Code.CATALOGUE_SLOW,
            _("A query of %(path)s was not answered in time.") % {"path": sessrec_settings.CATALOGUE},
            _(
                "Look at the queries of resolve(), fallback() and describe(): pages with lists wait for them."
                " pg_stat_activity says who may hold a lock."
            ),
        )
    except Exception as problem:
        yield fail(
            Code.CATALOGUE_RAISES,
            _("%(path)s failed: %(problem)s")
            % {"path": sessrec_settings.CATALOGUE, "problem": f"{type(problem).__name__}: {problem}"},
            _(
                "Correct it: fallback() answers a list of ids, resolve() a dict of id to object. Until then "
                "lists stay empty."
            ),
        )


def _known(shop: TextCatalogue, captured: Mapping[str, list[str]]) -> Iterator[Finding]:
    item_ids = list(dict.fromkeys(chain(*captured.values()))) or shop.fallback(SAMPLE)
    if not item_ids:
        yield warn(
            Code.CATALOGUE_EMPTY,
            _("The catalogue has no product to show."),
            _("Check the catalogue's available() and fallback()."),
        )
        return
    shown = shop.resolve(item_ids)
    found = shop.known(item_ids) | shown
    known = [item_id for item_id in item_ids if item_id in found]
    for name, ids in captured.items():  # views by id and baskets by SKU are two products to every model
        unknown = [item_id for item_id in ids if item_id not in found]
        if 2 * len(unknown) <= len(ids) or (known and len(ids) < FEW):
            continue
        words = {"known": len(ids) - len(unknown), "captured": len(ids), "name": name}
        yield (warn if words["known"] else fail)(
            Code.CATALOGUE_UNKNOWN_IDS,
            _("%(known)d of %(captured)d ids of %(name)s exist in your catalogue (captured: %(ids)s).")
            % {**words, "ids": ", ".join(unknown[:3])},
            _(
                "Capture the id that the catalogue resolves: compare TRACKED_VIEWS and the ids that you "
                "record with the catalogue's id_field."
            ),
        )
    if known and not shown:
        yield warn(
            Code.CATALOGUE_EMPTY,
            _("None of %(known)d captured products may be shown now.") % {"known": len(known)},
            _("Check the catalogue's available() and fallback()."),
        )
    yield from _described(shop, {item_id: found[item_id] for item_id in known[:SAMPLE]})


def _placed(shop: TextCatalogue) -> Iterator[Finding]:
    """Whether the catalogue knows the ids that placements and their variants name."""
    named: dict[str, list[str]] = {}
    for name, placement in sessrec_settings.PLACEMENTS.items():
        variants = (placement.get("EXPERIMENT") or {}).get("VARIANTS", {})
        for where, given in {
            name: placement,
            **{f"{name}, {key}": variants[key] for key in variants},
        }.items():
            named |= {f"{key} ({where})": [*map(str, given[key])] for key in PLACED if given.get(key)}
    known = shop.known(list(dict.fromkeys(chain(*named.values())))) if named else {}
    for where, item_ids in named.items():
        if unknown := [item_id for item_id in item_ids if item_id not in known]:
            yield warn(
                Code.CATALOGUE_UNKNOWN_PLACED,
                _("%(where)s names ids that your catalogue does not know: %(ids)s.")
                % {"where": where, "ids": ", ".join(unknown[:3])},
                _("Correct them in SESSREC['PLACEMENTS'], or take them out: they do nothing."),
            )


def _described(shop: TextCatalogue, items: Mapping[str, Any]) -> Iterator[Finding]:
    problems = {}
    for item_id, item in items.items():
        try:
            shop.describe(item)
        except Exception as problem:
            problems[item_id] = f"{type(problem).__name__}: {problem}"
    if problems:
        item_id, reason = next(iter(problems.items()))
        yield fail(
            Code.CATALOGUE_UNDESCRIBED,
            _("%(count)d of %(items)d products can't be described; %(item_id)s: %(problem)s")
            % {"count": len(problems), "items": len(items), "item_id": item_id, "problem": reason},
            _("Correct the catalogue's describe() or url(), or its title, image and price fields."),
        )
    elif items:
        yield ok(
            Code.CATALOGUE_KNOWS,
            _("%(items)d products were found and described.") % {"items": len(items)},
        )


def events() -> Iterator[Finding]:
    newest = Event.objects.order_by("-pk").first()
    if newest is None:
        yield warn(
            Code.EVENTS_NONE,
            _("No event was captured yet."),
            _("Open a tracked product page after consent, or run sessrec_import."),
        )
    else:
        yield ok(Code.EVENTS_ARRIVE, _("The newest was captured %(ago)s.") % {"ago": ago(newest.occurred_at)})
    # Not from the ledger: a retry counts on its own day, so that of older rows would hide new ones.
    if waiting := replayable().count():
        yield warn(
            Code.LEDGER_FAILED_ROWS,
            ngettext(
                "%d row could not be stored and waits for a retry.",
                "%d rows could not be stored and wait for a retry.",
                waiting,
            )
            % waiting,
            _("Read their reasons in the admin under Failed events, correct them, run sessrec_replay."),
        )
    else:
        sent = sum(each.sent for each in ledger.by_day(LEDGER_DAYS).values())
        message = _("Each of the %(sent)d rows sent in %(days)d days is accounted for.")
        yield ok(Code.LEDGER_BALANCED, message % {"sent": sent, "days": LEDGER_DAYS})


def consent(request: HttpRequest | None = None) -> Iterator[Finding]:
    """CONSENT called with `request`, or with one that has no more than a session and a user."""
    path = sessrec_settings.CONSENT
    if path is None:
        yield warn(
            Code.CONSENT_UNSET,
            _("No CONSENT: nothing is captured, and lists follow only the product on the page."),
            _("Set CONSENT to a function that takes the request and returns 'session' after consent."),
        )
        return
    ask = sessrec_settings.imported("CONSENT")
    try:
        answer = ask(request or _bare_request())
    except Exception as problem:
        yield (fail if request else warn)(
            Code.CONSENT_RAISES,
            _("%(path)s failed on a request: %(problem)s")
            % {"path": path, "problem": f"{type(problem).__name__}: {problem}"},
            _("Sessions for which it fails are not captured. Try it on the Health page with a real request."),
        )
        return
    if answer not in ANSWERS:
        yield fail(
            Code.CONSENT_INVALID,
            _("%(path)s answered %(answer)r: no session is captured.") % {"path": path, "answer": answer},
            _("Let it return 'none', 'session' or 'opt-in'."),
        )
    else:
        yield ok(Code.CONSENT_ASKED, _("%(path)s answers.") % {"path": path})


def proxies(request: HttpRequest | None = None) -> Iterator[Finding]:
    """Whether the visitors' addresses can be told; only a request that came in can show it."""
    forwarded = request.headers.get("X-Forwarded-For") if request else None
    proxies = sessrec_settings.num_proxies
    if request is None:
        return
    hops = len(forwarded.split(",")) if forwarded else 0
    if proxies and hops < proxies:
        yield warn(
            Code.PROXY_TOO_MANY,
            _(
                "NUM_PROXIES is %(proxies)d, and X-Forwarded-For of this request has %(hops)d: no visitor's "
                "address is known."
            )
            % {"proxies": proxies, "hops": hops},
            _(
                "Lower NUM_PROXIES to the number of the shop's own proxies in front of Django, or let each "
                "of them add to X-Forwarded-For."
            ),
        )
    if not forwarded or proxies:
        return
    message = (
        _("Requests come through a proxy, and NUM_PROXIES is not set: no visitor's address is known.")
        if proxies is None
        else _("Requests come through a proxy, and NUM_PROXIES is 0: every visitor has the proxy's address.")
    )
    remedy = _("Set NUM_PROXIES to the number of the shop's own proxies in front of Django.")
    yield warn(Code.PROXY_UNEXPLAINED, message, remedy)


def _bare_request() -> HttpRequest:
    request = HttpRequest()
    request.method, request.path, request.path_info = "GET", "/", "/"
    request.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1"}
    with suppress(Exception):  # a shop without the app
        request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    with suppress(Exception):
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()
    return request
