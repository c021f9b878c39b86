"""Whether the workers and the schedule are alive."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_sessrec.admin.readonly import ReadOnlyAdmin
from django_sessrec.models import Heartbeat

SILENCE = timedelta(minutes=5)  # they beat once a minute


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "seen_at", "alive")
    ordering = ("name",)

    @admin.display(description=_("alive"), boolean=True)
    def alive(self, heartbeat: Heartbeat) -> bool:
        return timezone.now() - heartbeat.seen_at < SILENCE
