"""What an operator would look at one by one: each part, whether it works, and what to do where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from django.core import checks
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from django_sessrec import database
from django_sessrec.capture import ledger, partitions, stream
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, Heartbeat, Promotion, TrainingRun
from django_sessrec.privacy.retention import oldest_rows
from django_sessrec.recsys import artifact
from django_sessrec.training import artifact_store
from django_sessrec.training.promotion import held_by
from django_sessrec.training.runs import all_runs

SILENCE = timedelta(minutes=5)  # heartbeats come once a minute
LEDGER_DAYS = 7
PROGRAMS = {
    "beat": "celery --app PROJECT beat",
    "worker": "celery --app PROJECT worker",
    "train": "celery --app PROJECT worker --queues train --concurrency 1 --max-tasks-per-child 1",
}


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line of the report."""

    level: Level
    part: str
    text: str
    remedy: str = ""


def examine(broker_answers: Callable[[], str]) -> Iterator[Finding]:
    """Every finding, as it is found; a part that raises is a failure of its own and hides no other.

    broker_answers: returns the broker's address, or raises.
    """
    parts = {
        "settings": _settings,
        "database": _database,
        "partitions": _partitions,
        "retention": _retention,
        "broker": lambda: _broker(broker_answers),
        "stream": _stream,
        "processes": _processes,
        "models": _models,
        "events": _events,
        "consent": _consent,
    }
    for part, findings in parts.items():
        try:
            for level, text, remedy in findings():
                yield Finding(level, part, text, remedy)
        except Exception as problem:
            yield Finding(Level.FAIL, part, f"{type(problem).__name__}: {problem}".splitlines()[0])


Found = Iterator[tuple[Level, str, str]]


def _settings() -> Found:
    messages = checks.run_checks(tags=["sessrec"])
    for message in messages:
        level = Level.FAIL if message.level >= checks.ERROR else Level.WARN
        yield level, f"{message.id}: {message.msg}", message.hint or ""
    if not messages:
        yield Level.OK, "every check passes", ""


def _database() -> Found:
    connection = database.connection()
    executor = MigrationExecutor(connection)
    wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "sessrec"]
    if executor.migration_plan(wanted):
        yield Level.FAIL, "tables are missing or old", "run manage.py migrate"
    else:
        major, minor = divmod(connection.pg_version, 10_000)
        yield Level.OK, f"PostgreSQL {major}.{minor}, every migration applied", ""


def _partitions() -> Found:
    today = datetime.now(UTC).date()
    days = [today + timedelta(n) for n in range(partitions.DAYS_AHEAD + 1)]
    with database.connection().cursor() as cursor:
        names = [f"{Event._meta.db_table}_{day:%Y%m%d}" for day in days]
        cursor.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL", [names])
        missing = [name for (name,) in cursor.fetchall()]
    if not missing:
        yield Level.OK, f"made up to {days[-1]}", ""
        return
    level = Level.FAIL if names[0] in missing else Level.WARN
    yield (
        level,
        f"{len(missing)} of {len(days)} days ahead have none",
        "run sessrec_prune, and let beat run upkeep",
    )


def _retention() -> Found:
    late = [each for each in oldest_rows(timezone.now()) if not each.within_limit]
    for table, oldest, _ in late:
        yield (
            Level.FAIL,
            f"{table} holds rows of {_ago(oldest)}",
            "run sessrec_prune, and let beat run upkeep",
        )
    if not late:
        yield Level.OK, "no row is older than RETENTION_DAYS allows", ""


def _broker(answers: Callable[[], str]) -> Found:
    try:
        yield Level.OK, f"{answers()} answers", ""
    except Exception as problem:
        yield (
            Level.FAIL,
            f"does not answer: {problem}",
            "start it, or correct the broker's URL in the settings",
        )


def _stream() -> Found:
    if not stream.configured():
        yield Level.OK, "none: pages write to PostgreSQL themselves", ""
        return
    waiting = stream.backlog()
    level = Level.WARN if waiting.seconds > SILENCE.total_seconds() else Level.OK
    text = f"{waiting.messages:,} messages wait, the oldest for {waiting.seconds:.0f} seconds"
    yield level, text, "start manage.py sessrec_consume, or one more of it" if level == Level.WARN else ""


def _processes() -> Found:
    seen = dict(Heartbeat.objects.values_list("name", "seen_at"))
    if (
        all_runs()
        .filter(state=TrainingRun.State.RUNNING, heartbeat_at__gte=timezone.now() - SILENCE)
        .exists()
    ):
        seen["train"] = timezone.now()  # it trains, and answers nothing else meanwhile
    consumer = {"consumer": "manage.py sessrec_consume"} if stream.configured() else {}
    for name, command in {**PROGRAMS, **consumer}.items():
        if name not in seen:
            yield Level.WARN, f"{name} was never seen", f"start {command}"
        elif timezone.now() - seen[name] > SILENCE:
            yield Level.WARN, f"{name} was last seen {_ago(seen[name])}", f"start {command}"
        else:
            yield Level.OK, f"{name} was seen {_ago(seen[name])}", ""


def _models() -> Found:
    for model in sessrec_settings.MODELS:
        latest = all_runs().filter(model=model).first()
        if latest is not None and latest.state in {TrainingRun.State.FAILED, TrainingRun.State.REFUSED}:
            yield Level.WARN, f"{latest} {latest.state} {_ago(latest.created_at)}: {latest.verdict}", ""
        active = Promotion.objects.active(model)
        if active is None:
            yield Level.WARN, f"{model} does not serve yet", f"run sessrec_train {model}"
            continue
        try:
            artifact.load(artifact_store.folder(active))
        except artifact.ArtifactError as problem:
            yield (
                Level.FAIL,
                f"{active} serves but does not open: {problem}",
                "roll back in the admin, or train anew",
            )
            continue
        if hold := held_by(model):
            yield (
                Level.WARN,
                f"{active} serves since {hold.promoted_by} went back to it",
                "promote a newer run",
            )
        else:
            yield Level.OK, f"{active} serves, trained {_ago(active.created_at)}", ""


def _events() -> Found:
    newest = Event.objects.order_by("-occurred_at").first()
    if newest is None:
        yield (
            Level.WARN,
            "none captured yet",
            "open a tracked product page after consent, or run sessrec_import",
        )
    else:
        yield Level.OK, f"the newest was captured {_ago(newest.occurred_at)}", ""
    counts = ledger.by_day(LEDGER_DAYS).values()
    sent, missing = sum(each.sent for each in counts), sum(each.failed - each.replayed for each in counts)
    if missing > 0:
        yield (
            Level.WARN,
            f"of {sent:,} rows sent in {LEDGER_DAYS} days {missing:,} could not be stored",
            "their reasons stand in the admin under Failed events: mend them, run sessrec_replay",
        )
    else:
        yield Level.OK, f"{sent:,} rows were sent in {LEDGER_DAYS} days, and each is accounted for", ""


def _consent() -> Found:
    if sessrec_settings.CONSENT is None:
        yield (
            Level.WARN,
            "no CONSENT: nothing is captured, lists follow only the product on screen",
            "name a function of the request that returns 'session' after opt-in",
        )
    else:
        sessrec_settings.imported("CONSENT")
        yield Level.OK, f"asked of {sessrec_settings.CONSENT}", ""


def _ago(moment: datetime) -> str:
    seconds = (timezone.now() - moment).total_seconds()
    for unit, size in {"days": 86_400, "hours": 3_600, "minutes": 60}.items():
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} seconds ago"
