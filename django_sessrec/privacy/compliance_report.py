"""The compliance report, with which a controller shows what is kept, why, for how long, and who decided.

GDPR 5(2) and 30, and the voluntary records of an AI system of minimal risk. It is made from the live
settings, tables and artifacts, so that it can't fall behind them. It names no session.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count, Q
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext_noop

import django_sessrec
from django_sessrec.artifact_storage import UNFINISHED, StorageError
from django_sessrec.capture.cookie import LONGEST_SESSION, OFF_LASTS
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import AuditEntry, Promotion, Quarantine
from django_sessrec.privacy.retention import ALLOWANCE, Oldest, oldest_rows
from django_sessrec.privacy.training_window import window
from django_sessrec.recsys import artifact

LATEST = 200  # lines of each trail
MOMENTS = frozenset({"tested_from", "newest_session"})  # of a card's counts: seconds since 1970


def compliance_report(now: datetime | None = None) -> dict[str, Any]:
    """The report, JSON-able, as of `now` (aware)."""
    now = now or timezone.now()
    return {
        "made_at": now.isoformat(timespec="seconds"),
        "package_version": django_sessrec.__version__,
        "processing": _processing(),
        "consent": {"callable": sessrec_settings.CONSENT, "without": "contextual", "sec_gpc": "honoured"},
        "cookies": _cookies(),
        "retention": {
            "days": sessrec_settings.RETENTION_DAYS,
            "tables": [_dated(each) for each in oldest_rows(now)],
            "artifacts": list(_artifacts(now)),
        },
        "models": list(_models()),
        "quarantine": _quarantine(),
        "promotions": list(_promotions()),
        "audit": list(_audit()),
    }


def as_markdown(report: dict[str, Any]) -> str:
    """The report for people; sessrec/compliance_report.md is a template like any other."""
    return render_to_string("sessrec/compliance_report.md", {**report, **_in_pairs(report)})


def _in_pairs(report: dict[str, Any]) -> dict[str, Any]:
    """The report's dicts with keys of the shop's own, as lists of pairs.

    In a template, `.items` of a dict is its key "items", if it has one.
    """
    models = []
    for each in report["models"]:
        card = each.get("card", {})
        counts = [
            (name, _moment(value) if name in MOMENTS else value) for name, value in _pairs(card, "counts")
        ]
        models.append({**each, "parameters": _pairs(card, "parameters"), "counts": counts})
    audit = [{**each, "detail": list(each["detail"].items())} for each in report["audit"]]
    windows = list(report["processing"]["training_window_days"].items())
    return {"models": models, "audit": audit, "windows": windows}


def _pairs(card: dict[str, Any], part: str) -> list[tuple[str, Any]]:
    return list(card.get(part, {}).items())


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _processing() -> dict[str, Any]:
    """What differs between shops in a record of processing; the template has the words."""
    stream = urlsplit(sessrec_settings.STREAM_URL or "")
    return {
        "placements": sorted(sessrec_settings.PLACEMENTS),
        "models": sorted(sessrec_settings.MODELS),
        "tracked_views": sorted(sessrec_settings.TRACKED_VIEWS),
        "database": sessrec_settings.DATABASE,
        "stream": stream.hostname or stream.path or None,  # without its password
        "artifacts_storage": sessrec_settings.ARTIFACTS_STORAGE,
        "training_window_days": {
            model: window(model) / timedelta(days=1) for model in sorted(sessrec_settings.MODELS)
        },
        "order_lines_days": sessrec_settings.ORDER_LINES_DAYS,
        "count_all_orders": sessrec_settings.COUNT_ALL_ORDERS,
    }


def _cookies() -> list[dict[str, Any]]:
    """The cookies, in English: the template translates what they hold."""
    name = sessrec_settings.COOKIE_NAME
    return [
        {
            "name": name,
            "set": gettext_noop("with consent"),
            "holds": gettext_noop("a random number of this session, signed by the shop"),
            "minutes": sessrec_settings.SESSION_IDLE_MINUTES,
            "at_most_hours": LONGEST_SESSION // timedelta(hours=1),
        },
        {
            "name": f"{name}_off",
            "set": gettext_noop("when the visitor switches personal suggestions off"),
            "holds": gettext_noop("1, the same for everybody"),
            "minutes": OFF_LASTS // timedelta(minutes=1),
            "at_most_hours": OFF_LASTS // timedelta(hours=1),
        },
    ]


def _dated(oldest: Oldest) -> dict[str, Any]:
    return oldest._asdict() | {"oldest": oldest.oldest and oldest.oldest.isoformat(timespec="seconds")}


def _artifacts(now: datetime) -> Iterator[dict[str, Any]]:
    """Every model in the folder of artifacts, served or not, and the oldest click that it was made of; the
    click files count as one."""
    days = sessrec_settings.RETENTION_DAYS
    for folder in sorted(path for path in sessrec_settings.artifacts.glob("*") if path.is_dir()):
        if folder == sessrec_settings.click_files:
            yield from _click_files(now)
            continue
        if folder.name.startswith(UNFINISHED):  # on its way from the storage, and checked on arrival
            continue
        try:
            oldest = artifact.read_manifest(folder)["card"]["window"][0]
            within = days is None or datetime.fromisoformat(oldest) >= now - timedelta(days)
        except (artifact.ArtifactError, LookupError, TypeError, ValueError):
            oldest, within = None, False  # what can't be read proves nothing
        yield {"artifact": folder.name, "oldest_click": oldest, "within_limit": within}


def _click_files(now: datetime) -> Iterator[dict[str, Any]]:
    """The oldest day of the click files, if there is one; a whole day goes with its partition."""
    if oldest := min((path.stem for path in sessrec_settings.click_files.glob("[0-9]*.npz")), default=None):
        day = datetime.strptime(oldest, "%Y%m%d").replace(tzinfo=UTC)
        days = sessrec_settings.RETENTION_DAYS
        within = days is None or day >= now - timedelta(days) - ALLOWANCE
        yield {
            "artifact": sessrec_settings.click_files.name,
            "oldest_click": day.isoformat(),
            "within_limit": within,
        }


def _models() -> Iterator[dict[str, Any]]:
    """The card of each run in service, as its artifact has it."""
    for model in sorted(sessrec_settings.MODELS):
        run = Promotion.objects.active(model)
        if run is None:
            yield {"model": model, "run": None}
            continue
        try:
            manifest = run.manifest()
        except (artifact.ArtifactError, StorageError) as problem:
            yield {"model": model, "run": run.pk, "problem": str(problem)}
            continue
        yield {"model": model, "run": run.pk, "card": manifest.get("card")}


def _quarantine() -> list[dict[str, Any]]:
    by_reason = Quarantine.objects.values("reason").order_by("reason")
    released = Count("pk", filter=Q(released_at__isnull=False))
    return [dict(row) for row in by_reason.annotate(visits=Count("pk"), released=released)]


def _promotions() -> Iterator[dict[str, Any]]:
    for each in Promotion.objects.order_by("-pk")[:LATEST]:
        yield {
            "at": each.promoted_at.isoformat(timespec="seconds"),
            "model": each.model,
            "run": each.run_id,
            "by": each.promoted_by,
            "reason": each.reason,
        }


def _audit() -> Iterator[dict[str, Any]]:
    for each in AuditEntry.objects.order_by("-pk")[:LATEST]:
        yield {
            "at": each.happened_at.isoformat(timespec="seconds"),
            "action": each.action,
            "by": each.done_by,
            "reason": each.reason,
            "detail": each.detail,
        }
