"""The examination of a whole installation, part by part: the doctor prints it, the Health page shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.capture.fast_query import within
from django_sessrec.operations import hosts, services, shop, storage
from django_sessrec.operations.alarms import alarms
from django_sessrec.operations.figures import figures
from django_sessrec.operations.findings import Code, Finding, Level
from django_sessrec.operations.trained_models import trained_models
from django_sessrec.safety import UnsupportedError

PART_SECONDS: Final = 5.0  # that one part may ask the events database
ALL_SECONDS: Final = 30.0


def examine(broker: services.Broker, request: HttpRequest | None = None) -> Iterator[Finding]:
    """Every finding, as it is found; a part that raises is a failure of its own and hides no other.

    The events database has PART_SECONDS for each part and ALL_SECONDS for all, or what within() leaves.

    broker: as tasks.broker() gives it
    request: one that came in, which the consent function and the proxies are tried with
    """
    parts: dict[str, Callable[[], Iterator[Finding]]] = {
        "settings": shop.system_checks,
        "database": storage.tables,
        "clock": storage.clock,
        "rights": storage.rights,
        "partitions": storage.days,
        "retention": storage.retention,
        "disk": storage.disk,
        "broker": lambda: services.broker(broker),
        "stream": services.stream_backlog,
        "process": services.processes,
        "model": trained_models,
        "host": hosts.copies,
        "figures": figures,
        "alarm": alarms,
        "catalogue": shop.catalogue,
        "events": shop.events,
        "consent": lambda: shop.consent(request),
        "proxy": lambda: shop.proxies(request),
    }
    until = time.monotonic() + ALL_SECONDS
    unanswered = ""  # what was said of the database last
    for subject, findings in parts.items():
        seconds = min(PART_SECONDS, until - time.monotonic())
        found: list[Finding] = []
        try:
            with within(seconds), _savepoint():
                for each in findings():
                    found.append(each)  # noqa: PERF402  (it is told though the next one may raise)
        except UnsupportedError as problem:
            yield from shop.system_checks()
            remedy = _("Correct this first; the rest of this part could not be examined.")
            yield Finding(Code.EXAMINATION_RAISED, Level.FAIL, "database", str(problem), remedy)
            return
        except (OperationalError, InterfaceError) as problem:
            said, unanswered = unanswered, _first_line(problem)
            found.append(_unanswered(subject, unanswered, said_before=said == unanswered))
        except Exception as problem:
            message = f"{type(problem).__name__}: {_first_line(problem)}"
            remedy = _("Correct this first; the rest of this part could not be examined.")
            found.append(Finding(Code.EXAMINATION_RAISED, Level.FAIL, subject, message, remedy))
        yield from found


def _unanswered(subject: str, problem: str, *, said_before: bool) -> Finding:
    """A part for which the database did not answer; the same reason again is not told once more."""
    if said_before:
        message, remedy = _("Not examined: the events database did not answer."), ""
    else:
        message = _("The events database did not answer in time: %(problem)s") % {"problem": problem}
        remedy = _(
            "See whether it runs, and in pg_stat_activity who may hold a lock: a migration, a backup, an "
            "open transaction."
        )
    return Finding(Code.EXAMINATION_UNANSWERED, Level.FAIL, subject, message, remedy)


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]


def _savepoint() -> AbstractContextManager[object]:
    """Something to go back to where a part's query fails inside a transaction (ATOMIC_REQUESTS)."""
    return database.atomic() if database.connection().in_atomic_block else nullcontext()
