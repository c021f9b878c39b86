"""Models of the figures: order lines and sums by day, without any session's id.

They outlive RETENTION_DAYS: what a day's raw rows said is still known when these are gone.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_sessrec.database import SessrecModel
from django_sessrec.fields import FloatArrayField


class Attribution(SessrecModel):
    """One line of an order: what it brought, what came back, and the list that it is credited to."""

    class Credit(models.TextChoices):
        DIRECT = "direct", _("after a click")
        ASSISTED = "assisted", _("after a list")
        NONE = "none", _("without a list")

    reference = models.TextField(_("order line"), primary_key=True)  # see attribution.LINE
    ordered_on = models.DateField(_("ordered on"), db_index=True)  # in the shop's time zone
    buyer = models.BigIntegerField(
        _("buyer")
    )  # numbers the day's buyers, so that their lines are one piece of evidence
    in_session = models.BooleanField(_("of a session"), default=True)  # False: ordered without consent
    item_id = models.TextField(_("item"), blank=True)
    quantity = models.IntegerField(_("quantity"), default=1)
    price = models.DecimalField(_("price"), max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.TextField(_("currency"), blank=True)
    amount = models.DecimalField(_("amount"), max_digits=20, decimal_places=2)
    refunded = models.DecimalField(_("refunded"), max_digits=20, decimal_places=2, default=0)
    credit = models.TextField(_("credit"), choices=Credit, default=Credit.NONE)
    shown_on = models.DateField(_("shown on"), null=True, blank=True)  # the day of the list
    placement = models.TextField(_("placement"), blank=True)
    model = models.TextField(_("model"), blank=True)
    run_id = models.BigIntegerField(_("training run"), default=0)  # 0: no model's list
    step = models.TextField(_("step"), blank=True)
    experiment = models.TextField(_("experiment"), blank=True)
    variant = models.TextField(_("variant"), blank=True)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")

    def __str__(self) -> str:
        return f"{self.ordered_on} · {self.amount} {self.currency}".rstrip()


class Refund(SessrecModel):
    """A refund of an order's line, which it may come before."""

    event_id = models.UUIDField(_("id"), primary_key=True, editable=False)  # of its event
    reference = models.TextField(_("order line"), db_index=True)
    refunded_on = models.DateField(_("refunded on"), db_index=True)
    in_session = models.BooleanField(_("of a session"), default=True)
    quantity = models.IntegerField(_("quantity"), default=1)
    price = models.DecimalField(_("price"), max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.TextField(_("currency"), blank=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")

    def __str__(self) -> str:
        return f"{self.refunded_on} · {self.reference}"


class DailyGroup(SessrecModel):
    """A group of a day's lists: `grouped_by` names the dimensions in use, those left out are empty or 0."""

    day = models.DateField(_("day"))
    grouped_by = models.TextField(_("grouped by"))
    placement = models.TextField(_("placement"), blank=True)
    model = models.TextField(_("model"), blank=True)
    run_id = models.BigIntegerField(_("training run"), default=0)
    step = models.TextField(_("step"), blank=True)
    experiment = models.TextField(_("experiment"), blank=True)
    variant = models.TextField(_("variant"), blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} · {self.grouped_by}"


class DailyLists(DailyGroup):
    """What was shown on a day, and what visitors did with it."""

    pk = models.CompositePrimaryKey(
        "day", "grouped_by", "placement", "model", "run_id", "step", "experiment", "variant"
    )
    sessions = models.IntegerField(_("sessions"))
    impressions = models.IntegerField(_("lists"))
    items_shown = models.IntegerField(_("products shown"))
    seen_impressions = models.IntegerField(_("lists seen"))
    clicked_impressions = models.IntegerField(_("lists clicked"))
    seen_and_clicked = models.IntegerField(_("lists seen and clicked"))
    clicks = models.IntegerField(_("clicks"))
    carts = models.IntegerField(_("put into the basket"))
    purchases = models.IntegerField(_("purchases"))
    squares = FloatArrayField(_("squares"))  # see kpis.PAIRS

    class Meta:
        verbose_name = _("figures of a day")
        verbose_name_plural = _("figures by day")


class DailyRevenue(DailyGroup):
    """What the orders of a day brought in one currency; of the whole shop where nothing is grouped by."""

    pk = models.CompositePrimaryKey(
        "day", "grouped_by", "placement", "model", "run_id", "step", "experiment", "variant", "currency"
    )
    currency = models.TextField(_("currency"), blank=True)
    direct_orders = models.IntegerField(_("orders after a click"))
    assisted_orders = models.IntegerField(_("orders after a list"))
    orders = models.IntegerField(_("orders"))
    direct = models.DecimalField(_("sales after a click"), max_digits=20, decimal_places=2)
    assisted = models.DecimalField(_("sales after a list"), max_digits=20, decimal_places=2)
    total = models.DecimalField(_("sales"), max_digits=20, decimal_places=2)
    direct_refunded = models.DecimalField(_("refunded after a click"), max_digits=20, decimal_places=2)
    assisted_refunded = models.DecimalField(_("refunded after a list"), max_digits=20, decimal_places=2)
    total_refunded = models.DecimalField(_("refunded"), max_digits=20, decimal_places=2)
    # Sums over buyers, net of refunds, for intervals.
    direct_squares = models.FloatField(_("squares"))
    direct_by_total = models.FloatField(_("products"))
    total_squares = models.FloatField(_("squares of all"))

    class Meta:
        verbose_name = _("sales of a day")
        verbose_name_plural = _("sales by day")


class DailyShop(SessrecModel):
    """Sessions of a day, by what became of them."""

    day = models.DateField(_("day"), primary_key=True)
    sessions = models.IntegerField(_("sessions"))  # neither bots nor in quarantine
    bots = models.IntegerField(_("bots"))
    quarantined = models.IntegerField(_("quarantined sessions"))
    with_list = models.IntegerField(_("sessions with a list"))
    with_basket = models.IntegerField(_("sessions with a basket"))
    with_order = models.IntegerField(_("sessions with an order"))

    class Meta:
        verbose_name = _("sessions of a day")
        verbose_name_plural = _("sessions by day")

    def __str__(self) -> str:
        return str(self.day)


class DailyItem(SessrecModel):
    """What happened to an item on a day: in lists, and in orders."""

    pk = models.CompositePrimaryKey("day", "item_id")
    day = models.DateField(_("day"))
    item_id = models.TextField(_("item"))
    shown = models.IntegerField(_("shown"))  # lists that held it
    seen = models.IntegerField(_("seen"))  # of these, seen
    clicked = models.IntegerField(_("clicked"))
    bought = models.IntegerField(_("bought after a click"))  # order lines
    sold = models.IntegerField(_("sold"))  # order lines in all

    class Meta:
        verbose_name = _("figures of an item")
        verbose_name_plural = _("figures by item")

    def __str__(self) -> str:
        return f"{self.day} · {self.item_id}"


class RolledUpDay(SessrecModel):
    """A day whose sums are made, and of which state of its raw rows."""

    day = models.DateField(_("day"), primary_key=True)
    rolled_up_at = models.DateTimeField(_("rolled up at"))
    state = models.TextField(_("state of the rows"))  # differs once rows have come since

    class Meta:
        verbose_name = _("rolled-up day")
        verbose_name_plural = _("rolled-up days")

    def __str__(self) -> str:
        return str(self.day)
