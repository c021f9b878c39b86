"""Models: events and impressions by day, the audit trail, training runs and promotions.

Those of other modules are named here too, since Django looks for models here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from django_sessrec import artifact_storage
from django_sessrec.capture_models import (
    FailedEvent,
    Heartbeat,
    Ledger,
    Quarantine,
    Receipt,
    Withdrawal,
)
from django_sessrec.conf import sessrec_settings
from django_sessrec.database import RoutedManager, SessrecModel
from django_sessrec.experiment_models import (  # noqa: F401 - Django looks for models here
    ArmLine,
    DailyArm,
    DailyArmOrders,
    Experiment,
    Variant,
)
from django_sessrec.fields import FloatArrayField, TextArrayField
from django_sessrec.figure_models import (  # noqa: F401 - Django looks for models here
    Attribution,
    DailyCatalogue,
    DailyItem,
    DailyLists,
    DailyPages,
    DailyRevenue,
    DailyShop,
    Refund,
    RolledUpDay,
)
from django_sessrec.host_models import HostedModel  # noqa: F401 - Django looks for models here
from django_sessrec.recsys import artifact
from django_sessrec.recsys.cold_start import ColdStart
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.recommender import Recommender
from django_sessrec.rule_models import PlacementRule, RuleSet  # noqa: F401 - Django looks for models here

__all__ = [
    "AuditEntry",
    "Event",
    "EventName",
    "FailedEvent",
    "Heartbeat",
    "Impression",
    "Inspector",
    "Ledger",
    "Promotion",
    "Quarantine",
    "Receipt",
    "Report",
    "Source",
    "TrainingRun",
    "Withdrawal",
]

RECENT_PROMOTIONS = 10  # among which a host without the latest artifact looks for one that it has
HOLD_OUT = "-hold-out"  # how the folder's name of a model ends that was fitted without the last days


class EventName(models.TextChoices):
    """GA4's names."""

    VIEW_ITEM = "view_item", _("product viewed")
    VIEW_ITEM_LIST = "view_item_list", _("list seen")
    SELECT_ITEM = "select_item", _("recommendation clicked")
    ADD_TO_CART = "add_to_cart", _("added to basket")
    REMOVE_FROM_CART = "remove_from_cart", _("removed from basket")
    ADD_TO_WISHLIST = "add_to_wishlist", _("added to wishlist")
    VIEW_SEARCH_RESULTS = "view_search_results", _("search viewed")
    VIEW_CATEGORY = "view_category", _("category viewed")
    PURCHASE = "purchase", _("purchased")
    REFUND = "refund", _("refunded")


class Source(models.TextChoices):
    """The door an event came through; a shop's other sources have words of their own."""

    SERVER = "server", _("the shop's server")
    BROWSER = "browser", _("the visitor's browser")
    IMPORT = "import", _("an import")


class Impression(SessrecModel):
    """One list shown once. Partitioned by day of shown_at, the time that its id carries."""

    impression_id = models.UUIDField(_("id"), primary_key=True, editable=False)  # UUIDv7
    shown_at = models.DateTimeField(_("shown at"))
    session_id = models.UUIDField(_("session"))
    placement = models.TextField(_("placement"))
    model = models.TextField(_("model"), blank=True)  # key in SESSREC["MODELS"]; empty below the model steps
    run = models.ForeignKey(
        "TrainingRun", models.DO_NOTHING, null=True, blank=True, db_constraint=False, db_index=False,
        related_name="impressions", verbose_name=_("training run"),
    )  # fmt: skip
    step = models.TextField(_("step"))
    experiment = models.TextField(_("experiment"), blank=True)
    variant = models.TextField(_("variant"), blank=True)
    item_ids = TextArrayField(_("items"))
    # Of serving.candidate.REASONS, one for each item.
    reasons = TextArrayField(_("reasons"), default=list, blank=True)
    bot = models.BooleanField(_("bot"), default=False)
    # Probability with which each item was drawn for its place; null where the placement does not explore.
    propensities = FloatArrayField(_("propensities"), null=True, blank=True)
    # How the list was asked for and made; null where that is not known.
    wanted = models.SmallIntegerField(_("items wanted"), null=True, blank=True)
    session_clicks = models.SmallIntegerField(_("clicks before it"), null=True, blank=True)
    session_intents = models.SmallIntegerField(_("intents of the session"), null=True, blank=True)
    duration_us = models.IntegerField(_("microseconds that it took"), null=True, blank=True)

    class Meta:
        verbose_name = _("impression")
        verbose_name_plural = _("impressions")

    def __str__(self) -> str:
        return f"{self.placement} · {self.shown_at:%Y-%m-%d %H:%M:%S}"


class Report(Impression):
    """A proxy without rows, for which the admin shows the report: its entry, and permissions of all acts."""

    class Meta:
        proxy = True
        verbose_name = _("report")
        verbose_name_plural = _("report")
        permissions = [  # one for each act of staff
            ("export_figures", _("Can export figures")),
            ("train_models", _("Can start training runs")),
            ("promote_models", _("Can promote models and roll back")),
            ("run_experiments", _("Can run experiments")),
            ("edit_rules", _("Can change the rules of lists")),
            ("inspect_sessions", _("Can inspect sessions")),
            ("quarantine_sessions", _("Can quarantine sessions and release them")),
            ("replay_events", _("Can retry failed events")),
        ]


class Inspector(Impression):
    """A proxy without rows, for which the admin shows the inspector: its entry and its permission."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("inspector")
        verbose_name_plural = _("inspector")


class Event(SessrecModel):
    """An event of a session. Partitioned by day of occurred_at, which its id carries."""

    event_id = models.UUIDField(_("id"), primary_key=True, editable=False)  # UUIDv7
    occurred_at = models.DateTimeField(_("time"))
    session_id = models.UUIDField(_("session"))
    name = models.TextField(_("event"), choices=EventName)
    item_id = models.TextField(_("item"), blank=True)
    # A forged or pruned impression must not lose the event: no constraint.
    impression = models.ForeignKey(
        Impression, models.DO_NOTHING, null=True, blank=True, db_constraint=False, db_index=False,
        related_name="events", verbose_name=_("impression"),
    )  # fmt: skip
    position = models.SmallIntegerField(_("position"), null=True, blank=True)
    quantity = models.IntegerField(_("quantity"), default=1)
    price = models.DecimalField(_("price"), max_digits=13, decimal_places=3, null=True, blank=True)
    currency = models.TextField(_("currency"), blank=True)
    source = models.TextField(_("source"), default=Source.SERVER)  # of Source, or the shop's own word
    bot = models.BooleanField(_("bot"), default=False)  # kept out of training and KPIs

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.name} {self.item_id}"


class AuditTrail(RoutedManager["AuditEntry"]):
    def note(self, action: AuditEntry.Action, by: str, *, reason: str = "", **detail: Any) -> AuditEntry:
        """Add a line. `by`: a staff user's name, or "command"; `reason`: their words; `detail`: JSON-able."""
        return self.create(action=action, done_by=by, reason=reason, detail=detail)


class AuditEntry(SessrecModel):
    """An act of staff, with its reason: append-only."""

    class Action(models.TextChoices):
        EXPORT = "export", _("figures exported")
        COMPLIANCE_REPORT = "evidence", _("compliance report written")
        TRAIN = "train", _("training run started")
        PROMOTE = "promote", _("model promoted")
        ROLL_BACK = "roll_back", _("model rolled back")
        EXPERIMENT = "experiment", _("experiment changed")
        RULES = "rules", _("rules changed")
        INSPECT = "inspect", _("session inspected")
        QUARANTINE = "quarantine", _("sessions quarantined")
        RELEASE = "release", _("sessions released from quarantine")
        REPLAY = "replay", _("failed events retried")

    happened_at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    action = models.TextField(_("action"), choices=Action)
    done_by = models.TextField(_("by"))
    reason = models.TextField(_("reason"), blank=True)
    detail = models.JSONField(_("detail"), default=dict)

    objects: ClassVar[AuditTrail] = AuditTrail()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.action} · {self.happened_at:%Y-%m-%d %H:%M:%S}"


class TrainingRun(SessrecModel):
    """One training run: its window, parameters, figures, verdict and artifact."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        PUBLISHED = "published", _("published")  # passed the gate; its artifact is on disk
        REFUSED = "refused", _("refused")  # the gate or the data said no, with the reason in verdict
        FAILED = "failed", _("failed")  # an error or a kill ended it

    model = models.TextField(_("model"))  # key in SESSREC["MODELS"]
    state = models.TextField(_("state"), choices=State, default=State.RUNNING)
    trigger = models.TextField(_("started by"))  # "schedule", "command", or a staff user's name
    estimator = models.TextField(_("estimator"))
    parameters = models.JSONField(_("parameters"), default=dict)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    window_start = models.DateTimeField(_("window start"), null=True, blank=True)
    window_end = models.DateTimeField(_("window end"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict)  # sessions, clicks, items, validation cases
    stage = models.TextField(_("stage"), blank=True)  # read, fit, evaluate, publish
    progress = models.FloatField(_("progress"), default=0.0)  # 0..1 of the fit
    history = models.JSONField(_("history"), default=list)  # [{"progress": .1, "loss": 6.2}, ..]
    figures = models.JSONField(_("figures"), default=dict)  # {"candidate": {"hr@20": ..}, "incumbent": ..}
    verdict = models.TextField(_("verdict"), blank=True)
    error = models.TextField(_("error"), blank=True)
    artifact = models.TextField(_("artifact"), blank=True)  # folder name under SESSREC["ARTIFACTS"]
    # Of their manifests, which name all files.
    sha256 = models.TextField(_("sha256 of the artifact"), blank=True)
    hold_out_sha256 = models.TextField(_("sha256 of the hold-out artifact"), blank=True)
    started_from = models.ForeignKey(  # the run that this one refreshes; none if trained from scratch
        "self",
        models.SET_NULL,
        related_name="refreshes",
        verbose_name=_("started from"),
        null=True,
        blank=True,
    )

    class Meta:
        verbose_name = _("training run")
        verbose_name_plural = _("training runs")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["model", "-id"], name="sessrec_run_by_model")]

    def __str__(self) -> str:
        return f"{self.model} #{self.pk}"

    @property
    def folder(self) -> Path:
        """The published model. Dated, because a new database counts its runs from 1 again."""
        name = self.artifact or f"{self.model}-{self.pk}-{self.created_at.astimezone(UTC):%Y%m%dT%H%M%S}"
        return sessrec_settings.artifacts / name

    @property
    def hold_out_folder(self) -> Path:
        """The hold-out model: fitted without the last days, so that it can be tested on them again.

        The published model has seen these days: against it, every later candidate would lose.
        """
        return self.folder.with_name(f"{self.folder.name}{HOLD_OUT}")

    @property
    def on_baskets(self) -> bool:
        """Whether it learns from baskets and predicts their products, not clicks."""
        return bool(self.counts.get("learns_from") == "baskets")

    @property
    def expires_at(self) -> datetime | None:
        """When the oldest click in the model reaches RETENTION_DAYS; None without such a limit."""
        if sessrec_settings.RETENTION_DAYS is None or self.window_start is None:
            return None
        return self.window_start + timedelta(days=sessrec_settings.RETENTION_DAYS)

    @property
    def is_expired(self) -> bool:
        """Whether its model may neither stay on disk nor serve any longer."""
        return self.is_expired_at(timezone.now())

    def is_expired_at(self, moment: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= moment

    def open(self, *, hold_out: bool = False) -> Recommender:
        """The published or the hold-out model; ArtifactError says why one does not open."""
        folder = self.hold_out_folder if hold_out else self.folder
        self.require_published(folder, hold_out=hold_out)
        return artifact.load(folder, _own_recommender(self.model))

    def require_published(self, folder: Path, *, hold_out: bool = False) -> None:
        """Raise ArtifactError unless the folder's manifest is the one that this run published."""
        published = self.hold_out_sha256 if hold_out else self.sha256
        if published and artifact.digest(folder) != published:
            raise artifact.ArtifactError(f"{folder} is not the artifact that {self} published; train anew")

    def manifest(self) -> dict[str, Any]:
        """The published model's manifest, from this host's folder or else from the storage.

        Raises ArtifactError, and artifact_storage.StorageError where the storage does not answer.
        """
        if artifact_storage.configured() and not self.folder.exists():
            return artifact_storage.manifest_of(self.folder.name, self.sha256)
        return artifact.read_manifest(self.folder)

    def open_to_serve(self) -> tuple[Recommender, Intents | None, ColdStart | None]:
        """The published model as a web process opens it: recommender, likeness of items, cold start.

        The last two are None where it was trained without them. ArtifactError says why it does not open.
        """
        recommender, folder = self.open(), self.folder
        index = recommender.index
        return recommender, artifact.load_intents(folder, index), artifact.load_cold_start(folder, index)

    def note(self, sentence: str) -> None:
        """Say something that stays with the verdict; not yet saved."""
        self.verdict = f"{self.verdict} {sentence}".strip()


def _own_recommender(model: str) -> type[Recommender] | None:
    """The class that MODELS[model]["RECOMMENDER"] names, if it names one."""
    path = sessrec_settings.MODELS.get(model, {}).get("RECOMMENDER")
    if path is None:
        return None
    try:
        found: type[Recommender] = import_string(path)
    except Exception as error:  # the module may raise anything
        where = f"SESSREC['MODELS'][{model!r}]['RECOMMENDER']"
        raise artifact.ArtifactError(f"{where} = {path!r} can't be imported: {error}") from error
    return found


class PromotionQuerySet(models.QuerySet["Promotion"]):
    def active(self, model: str) -> TrainingRun | None:
        """The run that serves `model` now: the latest promotion's."""
        latest = self.filter(model=model).select_related("run").order_by("-pk").first()
        return latest.run if latest else None

    def served_before(self, model: str) -> TrainingRun | None:
        """The run that served before the present one did, which a roll back goes back to."""
        trail, present = self.filter(model=model), self.active(model)
        arrival = trail.filter(run=present).order_by("pk").first()
        before = (
            arrival and trail.filter(pk__lt=arrival.pk).exclude(run=present).select_related("run").first()
        )
        return before.run if before else None

    def on_this_host(self, model: str) -> TrainingRun | None:
        """The run promoted last of those whose artifact is in this host's folder."""
        latest = self.filter(model=model).select_related("run").order_by("-pk")[:RECENT_PROMOTIONS]
        return next((each.run for each in latest if each.run.artifact and each.run.folder.exists()), None)


PromotionTrail = RoutedManager.from_queryset(PromotionQuerySet)


class Promotion(SessrecModel):
    """One line of the audit trail of what serves: append-only, the latest of a model counts."""

    model = models.TextField(_("model"))
    run = models.ForeignKey(
        TrainingRun, models.PROTECT, related_name="promotions", verbose_name=_("training run")
    )
    promoted_at = models.DateTimeField(_("promoted at"), auto_now_add=True)
    promoted_by = models.TextField(_("promoted by"))
    reason = models.TextField(_("reason"), blank=True)

    objects = PromotionTrail()  # type: ignore[misc]  # the plugin takes the base class's for a ClassVar

    class Meta:
        verbose_name = _("promotion")
        verbose_name_plural = _("promotions")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["model", "-id"], name="sessrec_promotion_by_model")]

    def __str__(self) -> str:
        return f"{self.model}: #{self.run_id}"
