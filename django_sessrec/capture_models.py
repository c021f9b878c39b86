"""Models beside events and lists: what failed or is left out, the ledger of all rows, and signs of life."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_sessrec.database import SessrecModel
from django_sessrec.fields import TextArrayField


class FailedEvent(SessrecModel):
    """An event that could not be stored, with the reason, kept so that it can be replayed."""

    received_at = models.DateTimeField(_("received at"), auto_now_add=True, db_index=True)
    code = models.TextField(_("reason"))
    detail = models.TextField(_("detail"), blank=True)
    session_id = models.UUIDField(_("session"), null=True, blank=True, db_index=True)
    payload = models.JSONField(_("payload"))

    class Meta:
        verbose_name = _("failed event")
        verbose_name_plural = _("failed events")

    def __str__(self) -> str:
        return f"{self.code} · {self.received_at:%Y-%m-%d %H:%M:%S}"


class Withdrawal(SessrecModel):
    """A session whose consent was withdrawn or that was erased: what arrives late for it is dropped."""

    session_id = models.UUIDField(_("session"), primary_key=True)
    withdrawn_at = models.DateTimeField(_("withdrawn at"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("withdrawal")
        verbose_name_plural = _("withdrawals")

    def __str__(self) -> str:
        return str(self.session_id)


class Quarantine(SessrecModel):
    """A session whose clicks no person makes: left out of training and reports until staff releases it."""

    class Reason(models.TextChoices):
        """The rule that found it, each with a bound in SESSREC["QUARANTINE"]."""

        FLOOD = "flood", _("more clicks in a minute than a person makes")
        NO_SCRIPT = "no_script", _("a burst of clicks without a message from the browser's script")
        EVEN_PACE = "even_pace", _("evenly spaced clicks")
        CRAWL = "crawl", _("a crawl of the catalogue")
        REPEAT = "repeat", _("the same product over and over")
        ENDLESS = "endless", _("a session without an end")
        STAFF = "staff", _("taken out by staff")

    session_id = models.UUIDField(_("session"), primary_key=True, editable=False)
    reason = models.TextField(_("reason"), choices=Reason)
    clicks = models.IntegerField(_("clicks"))
    found_at = models.DateTimeField(_("found at"), auto_now_add=True, db_index=True)
    released_at = models.DateTimeField(_("released at"), null=True, blank=True)
    released_by = models.TextField(_("released by"), blank=True)

    class Meta:
        verbose_name = _("quarantined session")
        verbose_name_plural = _("quarantined sessions")

    def __str__(self) -> str:
        return f"{self.reason} · {self.session_id}"


class Ledger(SessrecModel):
    """A day's rows by outcome, counted in the transactions that write them.

    sent = stored + duplicate + failed + refused + withdrawn - replayed. Every server process of Postgres
    counts in one of a few slots, so that two pages seldom wait for the same line; a day is their sum.
    """

    pk = models.CompositePrimaryKey("day", "slot")
    day = models.DateField(_("day"))  # UTC
    slot = models.SmallIntegerField(_("slot"))
    stored = models.BigIntegerField(_("stored"), default=0)
    duplicate = models.BigIntegerField(_("duplicate"), default=0)
    failed = models.BigIntegerField(_("failed"), default=0)  # good rows that the database did not take
    refused = models.BigIntegerField(_("refused"), default=0)  # wrong input
    withdrawn = models.BigIntegerField(_("withdrawn"), default=0)  # dropped: of visits without consent
    replayed = models.BigIntegerField(_("replayed"), default=0)  # failed once, and counted anew since

    class Meta:
        verbose_name = _("ledger")
        verbose_name_plural = _("ledger")

    def __str__(self) -> str:
        return f"{self.day} · {self.slot}"


class Receipt(SessrecModel):
    """The last message that a consumer or a retried task stored, so that a repeated one counts once."""

    name = models.TextField(_("name"), primary_key=True)  # of the consumer, or the task's id
    messages = TextArrayField(_("messages"), default=list, blank=True)
    received_at = models.DateTimeField(_("received at"), auto_now=True, db_index=True)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")

    def __str__(self) -> str:
        return self.name


class Heartbeat(SessrecModel):
    """The last sign of life of a background process. The Health page stands for it in the admin."""

    name = models.TextField(_("name"), primary_key=True)  # "worker", "train", "beat", "consumer"
    seen_at = models.DateTimeField(_("seen at"), auto_now=True)
    broker = models.TextField(_("broker"), blank=True)  # address that it uses, without the password

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("health")

    def __str__(self) -> str:
        return self.name
