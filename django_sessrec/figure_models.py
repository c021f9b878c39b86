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

    reference = models.TextField(primary_key=True)  # see attribution.LINE
    ordered_on = models.DateField(db_index=True)  # in the shop's time zone
    buyer = models.BigIntegerField()  # a number among the day's: intervals know whose lines are one's
    in_session = models.BooleanField(default=True)  # False: ordered without consent
    item_id = models.TextField(blank=True)
    quantity = models.IntegerField(default=1)
    price = models.DecimalField(max_digits=13, decimal_places=3, null=True, blank=True)
    currency = models.TextField(blank=True)
    amount = models.DecimalField(max_digits=21, decimal_places=3)
    refunded = models.DecimalField(max_digits=21, decimal_places=3, default=0)
    credit = models.TextField(choices=Credit, default=Credit.NONE)
    shown_on = models.DateField(null=True, blank=True)  # the day of the list
    placement = models.TextField(blank=True)
    model = models.TextField(blank=True)
    run_id = models.BigIntegerField(default=0)  # 0: no model's list
    step = models.TextField(blank=True)
    experiment = models.TextField(blank=True)
    variant = models.TextField(blank=True)
    session_clicks = models.SmallIntegerField(null=True, blank=True)
    session_intents = models.SmallIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")

    def __str__(self) -> str:
        return f"{self.ordered_on} · {self.amount} {self.currency}".rstrip()


class Refund(SessrecModel):
    """A refund of an order's line, which it may come before."""

    event_id = models.UUIDField(primary_key=True, editable=False)  # of its event
    reference = models.TextField(db_index=True)
    refunded_on = models.DateField(db_index=True)
    in_session = models.BooleanField(default=True)
    quantity = models.IntegerField(default=1)
    price = models.DecimalField(max_digits=13, decimal_places=3, null=True, blank=True)
    currency = models.TextField(blank=True)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")

    def __str__(self) -> str:
        return f"{self.refunded_on} · {self.reference}"


GROUP = (
    *("day", "grouped_by", "placement", "model", "run_id", "step", "experiment", "variant"),
    *("session_length", "intents"),
)


class DailyGroup(SessrecModel):
    """A group of a day's lists: `grouped_by` names the dimensions in use, those left out are empty or 0."""

    day = models.DateField()
    grouped_by = models.TextField()
    placement = models.TextField(blank=True)
    model = models.TextField(blank=True)
    run_id = models.BigIntegerField(default=0)
    step = models.TextField(blank=True)
    experiment = models.TextField(blank=True)
    variant = models.TextField(blank=True)
    session_length = models.TextField(blank=True)  # see daily.SESSION_LENGTHS
    intents = models.TextField(blank=True)  # see daily.INTENTS

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} · {self.grouped_by}"


class DailyLists(DailyGroup):
    """What was shown on a day, and what visitors did with it."""

    pk = models.CompositePrimaryKey(*GROUP)
    sessions = models.IntegerField()
    impressions = models.IntegerField()
    items_shown = models.IntegerField()
    seen_impressions = models.IntegerField()
    clicked_impressions = models.IntegerField()
    seen_and_clicked = models.IntegerField()
    clicks = models.IntegerField()
    carts = models.IntegerField()
    purchases = models.IntegerField()
    short_impressions = models.IntegerField(default=0)
    squares = FloatArrayField()  # see daily.PAIRS

    class Meta:
        verbose_name = _("figures of a day")
        verbose_name_plural = _("figures by day")


class DailyRevenue(DailyGroup):
    """What the orders of a day brought in one currency; of the whole shop where nothing is grouped by."""

    pk = models.CompositePrimaryKey(*GROUP, "currency")
    currency = models.TextField(blank=True)
    direct_orders = models.IntegerField()
    assisted_orders = models.IntegerField()
    orders = models.IntegerField()
    direct = models.DecimalField(max_digits=21, decimal_places=3)
    assisted = models.DecimalField(max_digits=21, decimal_places=3)
    total = models.DecimalField(max_digits=21, decimal_places=3)
    direct_refunded = models.DecimalField(max_digits=21, decimal_places=3)
    assisted_refunded = models.DecimalField(max_digits=21, decimal_places=3)
    total_refunded = models.DecimalField(max_digits=21, decimal_places=3)
    without_session = models.DecimalField(max_digits=21, decimal_places=3, default=0)
    # Sums over buyers, net of refunds, for intervals.
    direct_squares = models.FloatField()
    direct_by_total = models.FloatField()
    total_squares = models.FloatField()

    class Meta:
        verbose_name = _("sales of a day")
        verbose_name_plural = _("sales by day")


class DailyPages(SessrecModel):
    """Tracked pages of a day by consent, counted as they are shown."""

    day = models.DateField(primary_key=True)
    with_consent = models.BigIntegerField(default=0)
    without_consent = models.BigIntegerField(default=0)  # nobody has asked, or the answer was no
    staff = models.BigIntegerField(default=0)
    bots = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("pages of a day")
        verbose_name_plural = _("pages by day")

    def __str__(self) -> str:
        return str(self.day)


class DailyShop(SessrecModel):
    """Sessions of a day, by what became of them."""

    day = models.DateField(primary_key=True)
    sessions = models.IntegerField()  # neither bots nor in quarantine
    bots = models.IntegerField()
    quarantined = models.IntegerField()
    with_list = models.IntegerField()
    with_basket = models.IntegerField()
    with_order = models.IntegerField()

    class Meta:
        verbose_name = _("sessions of a day")
        verbose_name_plural = _("sessions by day")

    def __str__(self) -> str:
        return str(self.day)


class DailyItem(SessrecModel):
    """What happened to an item on a day: in lists, and in orders."""

    pk = models.CompositePrimaryKey("day", "item_id")
    day = models.DateField()
    item_id = models.TextField()
    shown = models.IntegerField()  # lists that held it
    seen = models.IntegerField()  # of these, seen
    clicked = models.IntegerField()
    bought = models.IntegerField()  # order lines
    sold = models.IntegerField()  # order lines in all

    class Meta:
        verbose_name = _("figures of an item")
        verbose_name_plural = _("figures by item")

    def __str__(self) -> str:
        return f"{self.day} · {self.item_id}"


class DailyCatalogue(SessrecModel):
    """How many of the products in lists a week earlier the shop still offered on a day."""

    day = models.DateField(primary_key=True)
    looked_at = models.IntegerField()
    gone = models.IntegerField()  # of these, not offered any more

    class Meta:
        verbose_name = _("catalogue of a day")
        verbose_name_plural = _("catalogue by day")

    def __str__(self) -> str:
        return str(self.day)


class RolledUpDay(SessrecModel):
    """A day whose sums are made, and of which state of its raw rows."""

    day = models.DateField(primary_key=True)
    rolled_up_at = models.DateTimeField()
    state = models.TextField()  # differs once rows have come since

    class Meta:
        verbose_name = _("rolled-up day")
        verbose_name_plural = _("rolled-up days")

    def __str__(self) -> str:
        return str(self.day)
