"""Sales of an experiment: in which currency they are compared, and up to where a session's count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from django_sessrec import database
from django_sessrec.conf import sessrec_settings
from django_sessrec.measuring.attribution import LINE
from django_sessrec.models import Event, EventName

CURRENCY_DAYS: Final = 7  # in which the latest purchase is looked for
CAP_DAYS: Final = 28
CAP_SHARE: Final = 0.99  # of orders, which count whole
CAP_ORDERS: Final = 50  # below, there is no cap


def usual_currency() -> str:
    """In which sales are compared: the settings', or that of the latest purchase."""
    if given := sessrec_settings.CURRENCY:
        return str(given)
    since = timezone.now() - timedelta(days=CURRENCY_DAYS)
    bought = Event.objects.filter(name=EventName.PURCHASE, bot=False, occurred_at__gte=since)
    return bought.order_by("-pk").values_list("currency", flat=True).first() or ""


def sales_cap(currency: str) -> Any:
    """What CAP_SHARE of the last sessions with an order spent at most; None where there are too few."""
    since = timezone.now() - timedelta(days=CAP_DAYS)
    with database.connection().cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*), round(percentile_cont(%s) WITHIN GROUP (ORDER BY spent)::numeric, 2) FROM (
                SELECT sum(quantity * coalesce(price, 0)) AS spent FROM (
                    SELECT DISTINCT ON ({LINE.format("p")}) session_id, quantity, price FROM sessrec_event p
                    WHERE name = 'purchase' AND NOT bot AND currency = %s AND occurred_at >= %s
                      AND NOT EXISTS (
                          SELECT FROM sessrec_quarantine held
                          WHERE held.session_id = p.session_id AND held.released_at IS NULL
                      )
                    ORDER BY {LINE.format("p")}, occurred_at
                ) AS line GROUP BY session_id
            ) AS sessions
            """,  # noqa: S608 - a constant; a page and a webhook may both have recorded a line
            [CAP_SHARE, currency, since],
        )
        sessions, cap = cursor.fetchone()
    return cap if sessions >= CAP_ORDERS else None
