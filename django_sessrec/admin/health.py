"""The page Health and alerts: findings, alarms, background processes and the outcome of every row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin.alarm_rows import alarm_rows, mail_sentence
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.formatting import Cell, whole
from django_sessrec.capture import ledger, partitions
from django_sessrec.capture.ledger import Counts
from django_sessrec.capture.replay import replayable
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import FailedEvent, Heartbeat
from django_sessrec.operations import hosts
from django_sessrec.operations.examination import examine
from django_sessrec.operations.findings import Level
from django_sessrec.operations.heartbeat import programs

DAYS = 14
REASONS = 10


@admin.register(Heartbeat)
class HealthAdmin(ReadOnlyAdmin):
    """The page in place of a list of heartbeats."""

    class Media:
        css = {"all": ["sessrec/admin-charts.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = ledger.by_day(DAYS)
        context = self.admin_site.each_context(request) | {
            "title": _("Health and alerts"),
            "opts": self.opts,
            "media": self.media,
            "cards": _cards(days.get(timezone.now().date(), Counts())),
            **_findings(request),
            "programs": programs(),
            "hosts": hosts.rows(),
            "days": {
                "keys": (_("Day"),),
                "headings": [heading for heading, _cell in _cells(Counts())],
                "rows": [((date_format(day),), _cells(counts)) for day, counts in days.items()],
            },
            "reasons": self._reasons(),
        }
        return TemplateResponse(request, "admin/sessrec/health.html", context | (extra_context or {}))

    def _reasons(self) -> list[dict[str, Any]]:
        """The failed events by reason, each leading to its own."""
        failed = FailedEvent.objects
        found = failed.values("code").annotate(rows=Count("pk")).order_by("-rows", "code")[:REASONS]
        url = reverse(f"{self.admin_site.name}:sessrec_failedevent_changelist")
        return [
            {"code": row["code"], "rows": whole(row["rows"]), "url": f"{url}?code__exact={row['code']}"}
            for row in found
        ]


def _findings(request: HttpRequest) -> dict[str, Any]:
    """The examination as this web process sees it: what needs a remedy, the worst first, and the rest."""
    # Late: the tasks' module brings Celery, which a shop's pages don't need.
    from django_sessrec import tasks

    found = list(examine(tasks.broker(), request))
    worst_first = [each for level in (Level.FAIL, Level.WARN) for each in found if each.level == level]
    return {
        "problems": worst_first,
        "in_order": [each for each in found if each.level == Level.OK],
        "alarms": alarm_rows({each.code for each in found}),
        "mail": mail_sentence(),
        "min_days": sessrec_settings.alarms["MIN_DAYS"],
    }


def _cards(today: Counts) -> list[tuple[str, Cell]]:
    """Today's headline figures, each with its heading."""
    ahead = partitions.days_ahead()
    return [
        (_("Rows sent today"), Cell(whole(today.sent), _("%s stored") % whole(today.stored))),
        (_("Could not be stored"), Cell(whole(replayable().count()), _("kept for a retry"))),
        (_("Refused as invalid"), Cell(whole(today.refused), _("kept with the reason"))),
        (_("Partitions created ahead"), Cell(ngettext("%d day", "%d days", ahead) % ahead)),
    ]


def _cells(counts: Counts) -> list[tuple[str, Cell]]:
    """The table's columns in order, each with its heading."""
    return [
        (_("Sent"), Cell(whole(counts.sent))),
        (_("Stored"), Cell(whole(counts.stored))),
        (_("Duplicate"), Cell(whole(counts.duplicate))),
        (_("Failed"), Cell(whole(counts.failed))),
        (_("Refused"), Cell(whole(counts.refused))),
        (_("Withdrawn"), Cell(whole(counts.withdrawn))),
        (_("Replayed"), Cell(whole(counts.replayed))),
    ]
