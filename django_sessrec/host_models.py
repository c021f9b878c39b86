"""Model of the hosts that fetch trained models: what each has, and why it lacks the newest."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_sessrec.database import SessrecModel


class HostedModel(SessrecModel):
    """What one host has of one model, as its `sessrec_fetch` last said. Times are the database's."""

    host = models.TextField(_("host"))
    model = models.TextField(_("model"))  # key in SESSREC["MODELS"]
    run = models.ForeignKey(  # which its web processes serve; none before the first was fetched
        "TrainingRun",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("training run"),
    )
    problem = models.TextField(_("problem"), blank=True)  # why the promoted run is not here
    size = models.BigIntegerField(_("size"), default=0)  # bytes on the host's disk
    changed_at = models.DateTimeField(_("since"))  # run and problem are as they are now
    seen_at = models.DateTimeField(_("seen at"))

    class Meta:
        verbose_name = _("model of a host")
        verbose_name_plural = _("models of hosts")
        ordering = ["host", "model"]
        constraints = [models.UniqueConstraint(fields=["host", "model"], name="sessrec_model_of_host")]

    def __str__(self) -> str:
        return f"{self.host}: {self.model}"
