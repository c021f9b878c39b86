"""metrics/: the ledger, the stream, training runs and active models, for Prometheus.

All of it is read from Postgres and the stream's server, so any web process answers for all of them. A shop
that has a registry of its own adds the figures to it: `prometheus_client.REGISTRY.register(Figures())`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from uuid import UUID

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from django_sessrec import database
from django_sessrec.capture import ledger, partitions, stream
from django_sessrec.capture.fast_query import bounded, patient
from django_sessrec.conf import sessrec_settings
from django_sessrec.host_models import HostedModel
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Impression, Promotion, TrainingRun
from django_sessrec.operations import alarms, heartbeat
from django_sessrec.safety import warn

LATELY = timedelta(minutes=5)
RUNS = timedelta(days=7)
PREFIX = "sessrec_"
TIMEOUT_SECONDS = 1.5  # for each of six parts; a scrape waits ten seconds by default


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, to who brings METRICS_TOKEN; to others this address does not exist."""
    token = sessrec_settings.METRICS_TOKEN
    brought = request.headers.get("Authorization", "")
    if not token or not constant_time_compare(brought, f"Bearer {token}"):
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    registry = CollectorRegistry()
    registry.register(Figures())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


class Figures(Collector):
    """A collector for any registry. Labels are words of this package and keys of the settings: bounded."""

    def describe(self) -> list[Metric]:
        return []  # so that registering asks no database

    def collect(self) -> Iterator[Metric]:
        answered = _gauge("up", "Whether the figures of a part could be read.", "part")
        parts: dict[str, Callable[[], list[Metric]]] = {
            "ledger": partial(_in_time, _rows),
            "lists": partial(_in_time, _lists),
            "trainings": partial(_in_time, _trainings),
            "programs": partial(_in_time, _programs),
            "alarms": partial(_in_time, _alarms),
            "hosts": partial(_in_time, _hosts),
            **({"stream": _stream} if stream.configured() else {}),
        }
        for part, read in parts.items():
            found: list[Metric] = []
            try:
                found = read()
            except Exception as problem:  # one part that is away hides no other
                warn(f"metrics of {part}: %s", problem)
            answered.add_metric([part], float(bool(found)))
            yield from found
        yield answered


def _in_time(read: Callable[[], list[Metric]]) -> list[Metric]:
    """A part that the database knows: each is read or given up before Prometheus stops waiting."""
    with patient(TIMEOUT_SECONDS), bounded():
        return read()


def _rows() -> list[Metric]:
    rows = CounterMetricFamily(
        f"{PREFIX}rows", "Events and shown lists by what became of them.", labels=["outcome"]
    )
    for outcome, count in ledger.total()._asdict().items():
        rows.add_metric([outcome], count)
    newest = Event.objects.order_by("-pk").first()
    age = _gauge("last_event_age_seconds", "Since the newest event.")
    if newest is not None:
        age.add_metric([], _seconds_since(newest.occurred_at))
    ahead = _gauge("partitions_ahead_days", "Days to come that have their partitions; -1: today has none.")
    ahead.add_metric([], partitions.days_ahead())
    return [rows, age, ahead]


def _lists() -> list[Metric]:
    """Of the last minutes only, which the id finds in the index whatever the table's size."""
    shown = Impression.objects.filter(pk__gte=_first_id(LATELY), bot=False)
    gauge = _gauge("lists_last_5_minutes", "Lists shown, by the step that answered.", "placement", "step")
    for row in shown.values("placement", "step").annotate(lists=Count("pk")).order_by():
        gauge.add_metric([row["placement"], row["step"]], row["lists"])
    return [gauge]


def _trainings() -> list[Metric]:
    runs = _gauge("training_runs_last_7_days", "Training runs by how they ended.", "model", "state")
    recent = TrainingRun.objects.filter(created_at__gte=timezone.now() - RUNS)
    for row in recent.values("model", "state").annotate(runs=Count("pk")).order_by():
        runs.add_metric([row["model"], row["state"]], row["runs"])
    age = _gauge("model_age_seconds", "Age of the model that serves.", "model")
    for model in sessrec_settings.MODELS:
        if (active := Promotion.objects.active(model)) is not None:
            age.add_metric([model], _seconds_since(active.created_at))
    return [runs, age]


def _programs() -> list[Metric]:
    silence = _gauge(
        "heartbeat_age_seconds", "Time since a background process's last sign of life.", "program"
    )
    for program in heartbeat.programs():
        if program.seen_at is not None:
            silence.add_metric([program.name], _seconds_since(program.seen_at))
    return [silence]


def _alarms() -> list[Metric]:
    rings = _gauge("alarm", "1 while the alarm rings, else 0.", "alarm")
    for name, now in alarms.ringing().items():
        rings.add_metric([name], float(now))
    return [rings]


def _hosts() -> list[Metric]:
    """Of the hosts that fetch models; without ARTIFACTS_STORAGE there are none."""
    current = _gauge(
        "host_model_current", "1 where the host has the run in service, else 0.", "host", "model"
    )
    seen = _gauge("host_seen_age_seconds", "Time since a host last looked for models.", "host")
    promoted = {model: Promotion.objects.active(model) for model in sessrec_settings.MODELS}
    last_seen: dict[str, datetime] = {}
    for row in HostedModel.objects.filter(model__in=promoted).select_related("run"):
        if promoted[row.model] is not None:
            current.add_metric([row.host, row.model], float(row.run == promoted[row.model]))
        last_seen[row.host] = max(row.seen_at, last_seen.get(row.host, row.seen_at))
    now = database.now()
    for host, moment in last_seen.items():
        seen.add_metric([host], (now - moment).total_seconds())
    return [current, seen]


def _stream() -> list[Metric]:
    waiting = stream.backlog()
    messages = _gauge("stream_messages", "Messages that wait for the consumer.")
    messages.add_metric([], waiting.messages)
    age = _gauge("stream_oldest_seconds", "How long the oldest of them has waited.")
    age.add_metric([], waiting.seconds)
    return [messages, age]


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, labels=labels)


def _seconds_since(moment: datetime) -> float:
    return (timezone.now() - moment).total_seconds()


def _first_id(ago: timedelta) -> UUID:
    return uuid7(datetime.now(UTC) - ago)
