"""Health: whether every row that was sent is accounted for, and whether what should run does."""

from __future__ import annotations

from datetime import timedelta
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

from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.formatting import NONE, Cell, whole
from django_sessrec.capture import ledger, partitions, stream
from django_sessrec.capture.ledger import Counts
from django_sessrec.capture.replay import replayable
from django_sessrec.models import FailedEvent, Heartbeat

SILENCE = timedelta(minutes=5)  # they beat once a minute, the consumer six times
DAYS = 14
REASONS = 10


@admin.register(Heartbeat)
class HealthAdmin(ReadOnlyAdmin):
    """The page in place of a list of heartbeats."""

    class Media:
        css = {"all": ["sessrec/admin.css", "sessrec/admin-charts.css"]}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = ledger.by_day(DAYS)
        context = self.admin_site.each_context(request) | {
            "title": _("Health"),
            "opts": self.opts,
            "media": self.media,
            "cards": _cards(days.get(timezone.now().date(), Counts())),
            "programs": _programs(),
            "days": {
                "keys": (_("Day"),),
                "headings": list(_cells(Counts())),
                "rows": [((date_format(day),), _cells(counts).values()) for day, counts in days.items()],
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


def _cards(today: Counts) -> dict[str, Cell]:
    """Heading -> today's headline figure."""
    ahead = partitions.days_ahead()
    cards = {
        _("Rows sent today"): Cell(whole(today.sent), _("%s stored") % whole(today.stored)),
        _("Could not be stored"): Cell(whole(replayable().count()), _("kept, to be tried again")),
        _("Refused as wrong"): Cell(whole(today.refused), _("kept with the reason")),
        _("Partitions made ahead"): Cell(ngettext("%d day", "%d days", ahead) % ahead),
    }
    if stream.configured():
        cards[_("Waiting in the stream")] = _backlog()
    return cards


def _backlog() -> Cell:
    try:
        backlog = stream.backlog()
    except Exception as problem:
        return Cell(NONE, _("does not answer: %s") % type(problem).__name__)
    return Cell(whole(backlog.messages), _("the oldest for %s s") % whole(round(backlog.seconds)))


def _cells(counts: Counts) -> dict[str, Cell]:
    """Heading -> cell, in the order of the table's columns."""
    return {
        _("Sent"): Cell(whole(counts.sent)),
        _("Stored"): Cell(whole(counts.stored)),
        _("Known already"): Cell(whole(counts.duplicate)),
        _("Failed"): Cell(whole(counts.failed)),
        _("Refused"): Cell(whole(counts.refused)),
        _("Withdrawn"): Cell(whole(counts.withdrawn)),
        _("Replayed"): Cell(whole(counts.replayed)),
    }


def _programs() -> list[dict[str, Any]]:
    """The programs that give signs of life, and those that should."""
    seen = dict(Heartbeat.objects.values_list("name", "seen_at"))
    expected = ["beat", "train", "worker", *(["consumer"] if stream.configured() else [])]
    return [
        {"name": name, "seen_at": seen.get(name), "alive": name in seen and _lately(seen[name])}
        for name in sorted({*expected, *seen})
    ]


def _lately(moment: Any) -> bool:
    return timezone.now() - moment < SILENCE
