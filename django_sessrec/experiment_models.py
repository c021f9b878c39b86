"""Models of experiments: rows that staff make in the admin, and those that the settings declare."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_sessrec.database import SessrecModel
from django_sessrec.fields import FloatArrayField

INTERLEAVED = "interleaved"  # the variant on a list that two models have made
HOLDOUT = "holdout"  # the step of a list that is empty on purpose
EMPTY = "empty"  # and of a variant's list for which nothing was found


class Experiment(SessrecModel):
    """Variants of a placement held against each other on live sessions. The first variant is the control."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        WAITING = "waiting", _("waiting")  # started, but a variant's first model does not serve yet
        RUNNING = "running", _("running")
        STOPPED = "stopped", _("stopped")

    class Kind(models.TextChoices):
        SPLIT = "split", _("A/B test: each session gets one variant")
        INTERLEAVING = "interleaving", _("Interleaving: each list holds products of both models")
        PILOT = "pilot", _("Pilot: shadow first, then more and more sessions")

    class Goal(models.TextChoices):
        """The measure that decides; the others are shown beside it."""

        CLICKS = "clicks", _("clicked lists per 100 lists")
        ORDERS = "orders", _("sessions with an order, per 100 sessions")
        REVENUE = "revenue", _("sales per 100 sessions")

    name = models.TextField(_("name"), unique=True)  # as impressions carry it
    placement = models.TextField(_("placement"))  # key in SESSREC["PLACEMENTS"]
    kind = models.TextField(_("kind"), choices=Kind, default=Kind.SPLIT)
    goal = models.TextField(_("decided by"), choices=Goal, default=Goal.ORDERS)
    state = models.TextField(_("state"), choices=State, default=State.DRAFT)
    declared = models.BooleanField(_("declared in the settings"), default=False)
    part = models.FloatField(_("sessions that take part"), default=1.0)  # 0 to 1
    # A share of the control's figure.
    effect = models.FloatField(_("smallest difference worth finding"), default=0.05)
    stops_itself = models.BooleanField(_("stops itself when a guard rail fails"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    created_by = models.TextField(_("created by"), blank=True)
    # Since all variants serve; of one that waits again, the moment before which nothing counts.
    counted_from = models.DateTimeField(_("counted from"), null=True, blank=True)
    stopped_at = models.DateTimeField(_("stopped at"), null=True, blank=True)
    stop_reason = models.TextField(_("why it was stopped"), blank=True)
    kept = models.TextField(_("variant that everybody gets since"), blank=True)
    # By placement, as its sessions are counted; null until the schedule has looked at the settings.
    settled: Any = models.JSONField(_("what everybody gets"), null=True, blank=True)
    # Chosen before the first session is counted, so that they can't follow the figures.
    tuned_for = models.IntegerField(_("planned sessions"), null=True, blank=True)
    currency = models.TextField(_("currency"), blank=True)
    cap = models.DecimalField(  # a session's sales count up to here
        _("largest sales of a session"), max_digits=12, decimal_places=2, null=True, blank=True
    )

    class Meta:
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["placement"],
                condition=models.Q(state__in=("waiting", "running"), declared=False),
                name="sessrec_one_experiment_a_placement",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether sessions take part, or will as soon as all variants serve."""
        return self.state in (self.State.WAITING, self.State.RUNNING)

    @property
    def is_counted(self) -> bool:
        """Whether its sessions count: not before every variant serves."""
        return self.counted_from is not None and self.state != self.State.WAITING


class Variant(SessrecModel):
    """One arm of an experiment: a placement's settings with changes, or no recommendations at all."""

    experiment = models.ForeignKey(
        Experiment, models.CASCADE, related_name="variants", verbose_name=_("experiment")
    )
    name = models.TextField(_("name"))
    place = models.SmallIntegerField(_("place"), default=0)  # the control's is the lowest
    share = models.FloatField(_("share"), default=1.0)  # relative to the other variants'
    changes: Any = models.JSONField(_("changed settings"), default=dict, blank=True)  # keys of a placement
    holdout = models.BooleanField(_("no recommendations"), default=False)
    # Of the placement with these changes, as they were when the experiment began.
    model = models.TextField(_("first model"), blank=True)  # key in SESSREC["MODELS"]

    class Meta:
        verbose_name = _("variant")
        verbose_name_plural = _("variants")
        ordering = ["place", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "name"], name="sessrec_variant_name"),
        ]

    def __str__(self) -> str:
        return self.name


class DailyArm(SessrecModel):
    """The sessions of a variant whose first list was shown on a day, as sums that hold no session."""

    pk = models.CompositePrimaryKey("day", "experiment", "variant")
    day = models.DateField()
    experiment = models.TextField()
    variant = models.TextField()
    sessions = models.IntegerField()
    sums = FloatArrayField()  # see measuring.arms.OF_LISTS
    products = FloatArrayField()

    def __str__(self) -> str:
        return f"{self.day} · {self.experiment} · {self.variant}"


class DailyArmOrders(SessrecModel):
    """What these sessions have ordered, as sums."""

    pk = models.CompositePrimaryKey("day", "experiment", "variant")
    day = models.DateField()
    experiment = models.TextField()
    variant = models.TextField()
    sums = FloatArrayField()  # see measuring.arms.OF_ORDERS
    products = FloatArrayField()

    def __str__(self) -> str:
        return f"{self.day} · {self.experiment} · {self.variant}"


class ArmLine(SessrecModel):
    """An order's line that counts in an arm, without its session: a later refund finds its way by it."""

    day = models.DateField(db_index=True)  # of the session's first list
    experiment = models.TextField()
    variant = models.TextField()
    buyer = models.BigIntegerField()  # a number among the day's: whose lines are one session's
    reference = models.TextField(db_index=True)  # of Attribution

    def __str__(self) -> str:
        return f"{self.day} · {self.experiment} · {self.variant}"
