"""Findings: results of the examinations, each with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone
from django.utils.translation import ngettext


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARN = "warn"  # works, but should be looked at
    FAIL = "fail"  # does not work


class Code(StrEnum):
    """Every finding there is: stable names for scripts and alerts, `subject.what`."""

    SETTINGS_VALID = "settings.valid"
    SETTINGS_CHECK = "settings.check"  # a system check's message
    DATABASE_READY = "database.ready"
    DATABASE_MIGRATIONS = "database.migrations"
    DATABASE_READ_ONLY = "database.read_only"
    DATABASE_ISOLATION = "database.isolation"
    DATABASE_CLOCK = "database.clock"
    RIGHTS_GRANTED = "rights.granted"
    RIGHTS_MISSING = "rights.missing"
    RIGHTS_NO_PARTITIONS = "rights.no_partitions"
    PARTITIONS_READY = "partitions.ready"
    PARTITIONS_MISSING = "partitions.missing"
    RETENTION_KEPT = "retention.kept"
    RETENTION_EXCEEDED = "retention.exceeded"
    DISK_FREE = "disk.free"
    DISK_LOW = "disk.low"
    BROKER_ANSWERS = "broker.answers"
    BROKER_SILENT = "broker.silent"
    BROKER_UNNAMED = "broker.unnamed"
    BROKER_DIFFERS = "broker.differs"
    STREAM_UNUSED = "stream.unused"
    STREAM_FLOWS = "stream.flows"
    STREAM_WAITS = "stream.waits"
    STREAM_SILENT = "stream.silent"
    STREAM_ANOTHERS = "stream.anothers"  # its consumer is of another database
    PROCESS_ALIVE = "process.alive"
    PROCESS_SILENT = "process.silent"
    PROCESS_NEVER_SEEN = "process.never_seen"
    MODEL_SERVES = "model.serves"
    MODEL_MISSING = "model.missing"
    MODEL_UNREADABLE = "model.unreadable"
    MODEL_NOT_HERE = "model.not_here"  # with ARTIFACTS_STORAGE: this host has not fetched it
    MODEL_EXPIRES = "model.expires"  # its oldest click is near RETENTION_DAYS
    MODEL_EXPIRED = "model.expired"
    MODEL_NOT_TRAINED = "model.not_trained"  # the latest training failed or was refused
    MODEL_HELD = "model.held"
    HOST_CURRENT = "host.current"
    HOST_FETCHES = "host.fetches"
    HOST_KEEPS_OLD = "host.keeps_old"  # it can't fetch the promoted run
    HOST_SILENT = "host.silent"
    HOST_NONE = "host.none"
    CATALOGUE_KNOWS = "catalogue.knows"
    CATALOGUE_EMPTY = "catalogue.empty"
    CATALOGUE_SLOW = "catalogue.slow"
    CATALOGUE_RAISES = "catalogue.raises"
    CATALOGUE_UNKNOWN_IDS = "catalogue.unknown_ids"
    CATALOGUE_UNKNOWN_PLACED = "catalogue.unknown_placed"  # ids that placements name
    CATALOGUE_UNDESCRIBED = "catalogue.undescribed"
    EVENTS_ARRIVE = "events.arrive"
    EVENTS_NONE = "events.none"
    LEDGER_BALANCED = "ledger.balanced"
    LEDGER_FAILED_ROWS = "ledger.failed_rows"
    CONSENT_ASKED = "consent.asked"
    CONSENT_UNSET = "consent.unset"
    CONSENT_INVALID = "consent.invalid"
    CONSENT_RAISES = "consent.raises"
    PROXY_UNEXPLAINED = "proxy.unexplained"
    PROXY_TOO_MANY = "proxy.too_many"
    FIGURES_FRESH = "figures.fresh"
    FIGURES_STALE = "figures.stale"
    FIGURES_NONE = "figures.none"
    ALARM_NONE = "alarm.none"
    ALARM_TRAFFIC = "alarm.traffic"
    ALARM_BOTS = "alarm.bots"
    ALARM_CLICKS = "alarm.clicks"
    ALARM_SALES = "alarm.sales"
    ALARM_SHORT_LISTS = "alarm.short_lists"
    ALARM_FULL_LISTS = "alarm.full_lists"
    ALARM_CONSENT = "alarm.consent"
    ALARM_ITEM_CHURN = "alarm.item_churn"
    ALARM_MODEL_AGE = "alarm.model_age"
    ALARM_ACCURACY = "alarm.accuracy"
    EXAMINATION_RAISED = "examination.raised"  # its subject is that of the examination
    EXAMINATION_UNANSWERED = "examination.unanswered"  # so is its


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of an examination.

    subject: what was examined, the first part of the code
    message, remedy: for people, in the active language; a remedy is given where something is to be done
    """

    code: Code
    level: Level
    subject: str
    message: str
    remedy: str = ""


def ok(code: Code, message: str) -> Finding:
    return _finding(code, Level.OK, message, "")


def warn(code: Code, message: str, remedy: str) -> Finding:
    return _finding(code, Level.WARN, message, remedy)


def fail(code: Code, message: str, remedy: str) -> Finding:
    return _finding(code, Level.FAIL, message, remedy)


def _finding(code: Code, level: Level, message: str, remedy: str) -> Finding:
    return Finding(code, level, code.partition(".")[0], message, remedy)


def ago(moment: datetime) -> str:
    """How long ago that was, in the largest unit of which two have passed."""
    seconds = max(0, round((timezone.now() - moment).total_seconds()))
    if seconds >= 2 * 86_400:
        return ngettext("%d day ago", "%d days ago", number := round(seconds / 86_400)) % number
    if seconds >= 2 * 3_600:
        return ngettext("%d hour ago", "%d hours ago", number := round(seconds / 3_600)) % number
    if seconds >= 2 * 60:
        return ngettext("%d minute ago", "%d minutes ago", number := round(seconds / 60)) % number
    return ngettext("%d second ago", "%d seconds ago", seconds) % seconds
