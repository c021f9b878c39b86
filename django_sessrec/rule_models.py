"""Models of a merchant's rules: sets of rules for a placement, drafted and published."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_sessrec.database import RoutedManager, SessrecModel


class RuleSetQuerySet(models.QuerySet["RuleSet"]):
    def live(self) -> models.QuerySet[RuleSet]:
        """The latest published set of each placement: what its lists follow now."""
        published = self.filter(published_at__isnull=False)
        return published.order_by("placement", "-published_at").distinct("placement")

    def history(self, placement: str) -> models.QuerySet[RuleSet]:
        """The placement's published sets, the one that is live first."""
        return self.filter(placement=placement, published_at__isnull=False).order_by("-published_at")

    def draft(self, placement: str) -> RuleSet | None:
        """The placement's draft, if somebody works on one."""
        return self.filter(placement=placement, published_at=None).first()


RuleSets = RoutedManager.from_queryset(RuleSetQuerySet)


class RuleSet(SessrecModel):
    """A merchant's rules for one placement: a draft, or a published version, of which the latest is live.

    A published set is never changed: undoing publishes an earlier one again.
    """

    placement = models.TextField(_("placement"))  # key in SESSREC["PLACEMENTS"]
    changes = models.JSONField(_("changed settings"), default=dict, blank=True)  # over the placement's own
    changed_at = models.DateTimeField(_("changed at"), auto_now=True)
    changed_by = models.TextField(_("changed by"))
    published_at = models.DateTimeField(_("live since"), null=True, blank=True)
    published_by = models.TextField(_("made live by"), blank=True)
    reason = models.TextField(_("reason"), blank=True)

    objects = RuleSets()  # type: ignore[misc]  # the plugin takes the base class's for a ClassVar

    class Meta:
        verbose_name = _("rule set")
        verbose_name_plural = _("placements")
        indexes = [models.Index(fields=["placement", "-published_at"], name="sessrec_rules_by_placement")]
        constraints = [
            models.UniqueConstraint(
                fields=["placement"], condition=models.Q(published_at=None), name="sessrec_one_draft"
            )
        ]

    def __str__(self) -> str:
        return f"{self.placement} #{self.pk}"


class PlacementRule(SessrecModel):
    """One rule of a set, applied in the order of KINDS and then of its position.

    `parameters` are those of the kind (serving.merchant_rules reads them).
    """

    class Kind(models.TextChoices):
        """In the order in which they are applied."""

        HIDE = "hide", _("Hide products")
        RELATED = "related", _("Same or other brand or category as the product on the page")
        PRICE = "price", _("Price window")
        STOCK = "stock", _("Stock")
        BOOST = "boost", _("Move products up")
        BURY = "bury", _("Move products down")
        BESIDE = "beside", _("Never beside each other")
        CAP = "cap", _("At most so many of a kind")
        PIN = "pin", _("Pin a product to a place")
        SPONSORED = "sponsored", _("Sponsored product")

    rule_set = models.ForeignKey(RuleSet, models.CASCADE, related_name="rules", verbose_name=_("rule set"))
    kind = models.TextField(_("kind"), choices=Kind)
    parameters = models.JSONField(_("parameters"), default=dict)
    starts_at = models.DateTimeField(_("from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("until"), null=True, blank=True)
    group = models.TextField(_("customer group"), blank=True)  # empty: for everybody
    note = models.TextField(_("note"), blank=True)

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"
