"""Examinations of the broker, the stream, workers and beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import Error
from django.utils.translation import gettext as _

from django_sessrec.capture import stream
from django_sessrec.operations.findings import Code, Finding, ago, fail, ok, warn
from django_sessrec.operations.heartbeat import SILENCE, programs


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker as this process sees it; made by tasks.broker(), since only tasks knows Celery."""

    address: str  # without its password
    named: bool  # whether the project's Celery app, or the environment, names one in this process
    ask: Callable[[], object]  # raises where it does not answer


def broker(seen: Broker) -> Iterator[Finding]:
    """Whether the tasks that this process sends reach the workers."""
    if not seen.named:
        yield fail(
            Code.BROKER_UNNAMED,
            _("This process has no broker setting: its tasks go to %(address)s.") % {"address": seen.address},
            _(
                "Import the project's Celery app in the __init__.py beside its settings (from .celery import "
                "app as celery_app), and set its broker_url."
            ),
        )
        return
    try:
        seen.ask()
    except Exception as problem:
        yield fail(
            Code.BROKER_SILENT,
            _("%(address)s does not answer: %(problem)s") % {"address": seen.address, "problem": problem},
            _("Start it, or correct the broker's URL in the settings."),
        )
    else:
        yield ok(Code.BROKER_ANSWERS, _("%(address)s answers.") % {"address": seen.address})
    elsewhere = {each.name: each.broker for each in programs() if each.broker not in {"", seen.address}}
    for name, address in elsewhere.items():
        yield fail(
            Code.BROKER_DIFFERS,
            _("This process sends to %(ours)s, and %(program)s reads %(theirs)s.")
            % {"ours": seen.address, "program": name, "theirs": address},
            _("Give web processes and workers the same broker_url."),
        )


def stream_backlog() -> Iterator[Finding]:
    """What waits in the stream for the consumer."""
    if not stream.configured():
        yield ok(Code.STREAM_UNUSED, _("No stream is set: pages write to PostgreSQL directly."))
        return
    try:
        waiting = stream.backlog()
        anothers = stream.is_of_another_shop(stream.client())
    except Error:
        raise  # of the database
    except Exception as problem:
        yield fail(
            Code.STREAM_SILENT,
            _("The stream's server does not answer: %(problem)s") % {"problem": problem},
            _("Start it, or correct STREAM_URL; pages write to PostgreSQL themselves meanwhile."),
        )
        return
    if anothers:
        yield fail(
            Code.STREAM_ANOTHERS,
            _("The stream belongs to another shop, and would mix its visitors with this one's."),
            _(
                "Set STREAM_KEY_PREFIX, and start sessrec_consume. If this shop's database was renamed or "
                "made anew, delete the key that sessrec_consume names."
            ),
        )
        return
    message = _("%(messages)d messages are waiting, the oldest for %(seconds)d seconds.") % {
        "messages": waiting.messages,
        "seconds": waiting.seconds,
    }
    if waiting.seconds > SILENCE.total_seconds():
        remedy = _("Start manage.py sessrec_consume, or another instance of it.")
        yield warn(Code.STREAM_WAITS, message, remedy)
    else:
        yield ok(Code.STREAM_FLOWS, message)


def processes() -> Iterator[Finding]:
    """The last sign of life of every background process that should run."""
    for program in programs():
        remedy = _("Start %(command)s") % {"command": program.command}
        words = {"program": program.name, "ago": ago(program.seen_at) if program.seen_at else ""}
        if program.seen_at is None:
            yield warn(Code.PROCESS_NEVER_SEEN, _("%(program)s was never seen.") % words, remedy)
        elif not program.alive:
            yield warn(Code.PROCESS_SILENT, _("%(program)s was last seen %(ago)s.") % words, remedy)
        else:
            yield ok(Code.PROCESS_ALIVE, _("%(program)s was seen %(ago)s.") % words)
