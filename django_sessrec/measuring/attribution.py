"""Attribution of clicks, baskets and purchases to the impression they came from.

A click is a select_item that names an impression of its own session which lists the item, no later than
ATTRIBUTION_HOURS after it was shown; the same item of the same impression counts once. What happens to
the item afterwards in that session, within ATTRIBUTION_HOURS of a click on it, belongs to the latest such
click. Bots and quarantined sessions count nowhere.

Purchases and refunds that were recorded with an order id carry the order's line in the lower bits of their
own id (ids.order_line_id): a purchase told three times counts once, and a refund is taken from the click that
its purchase belongs to, however late it comes; all refunds of a line take no more than it brought.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django_sessrec.conf import sessrec_settings

IMPRESSION = "impression_id, session_id, shown_at, placement, model, run_id, step, experiment, variant"
LINE = "right(replace({}.event_id::text, '-', ''), 19)"  # all of the id but time and version

# Every time is bounded, so that Postgres opens few partitions: those of the window once, and for each click
# those around it. The bounds reach past the window: an impression's click and purchase come later, and a
# click on a list of the day before may be the latest one. A browser's clock may be behind the server's: its
# click is then older than the list. Past the first two joins there is only grouping: Postgres expects one row
# of a WITH query that holds 70,000, and would join it to another one by one.
ATTRIBUTED = f"""
held AS MATERIALIZED (SELECT session_id FROM sessrec_quarantine WHERE released_at IS NULL),
selects AS MATERIALIZED (
    SELECT {IMPRESSION}, s.item_id, s.occurred_at
    FROM sessrec_event s
    JOIN sessrec_impression i USING (impression_id, session_id)
    WHERE s.name = 'select_item' AND s.impression_id IS NOT NULL AND NOT s.bot AND NOT i.bot
      AND s.occurred_at >= %(start)s AND s.occurred_at < %(events_end)s
      AND i.shown_at BETWEEN s.occurred_at - %(horizon)s AND s.occurred_at + %(horizon)s
      AND s.item_id = ANY (i.item_ids)
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
),
outcomes AS MATERIALIZED (
    SELECT DISTINCT ON (CASE o.name WHEN 'purchase' THEN {LINE.format("o")} ELSE o.event_id::text END)
           o.event_id, o.name, o.quantity, o.price, o.currency, o.occurred_at AS happened_at, c.*
    FROM selects c
    JOIN sessrec_event o ON o.session_id = c.session_id AND o.item_id = c.item_id
    WHERE o.name IN ('add_to_cart', 'purchase', 'refund') AND NOT o.bot
      AND o.occurred_at >= %(start)s AND o.occurred_at < %(events_end)s
      AND o.occurred_at >= c.occurred_at AND o.occurred_at < c.occurred_at + %(horizon)s
    ORDER BY CASE o.name WHEN 'purchase' THEN {LINE.format("o")} ELSE o.event_id::text END,
             o.occurred_at, c.occurred_at DESC, c.shown_at DESC
),
refunds AS MATERIALIZED (
    SELECT r.event_id, p.event_id AS purchase_id, r.quantity * coalesce(r.price, p.price, 0) AS amount
    FROM outcomes p
    JOIN sessrec_event r ON r.session_id = p.session_id AND r.item_id = p.item_id
     AND r.occurred_at >= p.happened_at AND {LINE.format("r")} = {LINE.format("p")}
    WHERE p.name = 'purchase' AND r.name = 'refund' AND NOT r.bot
),
refunded AS (SELECT purchase_id, sum(amount) AS amount FROM refunds GROUP BY purchase_id),
earned AS (
    SELECT {IMPRESSION}, currency,
           greatest(0, quantity * coalesce(price, 0) - coalesce(refunded.amount, 0)) AS amount
    FROM outcomes LEFT JOIN refunded ON refunded.purchase_id = outcomes.event_id
    WHERE name = 'purchase'
    UNION ALL
    SELECT {IMPRESSION}, currency, -quantity * coalesce(price, 0) FROM outcomes
    WHERE name = 'refund' AND NOT EXISTS (SELECT FROM refunds WHERE refunds.event_id = outcomes.event_id)
),
clicks AS (
    SELECT {IMPRESSION}, item_id,
           bool_or(name = 'add_to_cart') AS carted, bool_or(name = 'purchase') AS bought
    FROM (
        SELECT {IMPRESSION}, item_id, 'select_item' AS name FROM selects
        UNION ALL
        SELECT {IMPRESSION}, item_id, name FROM outcomes
    ) AS happened
    GROUP BY {IMPRESSION}, item_id
)
"""  # noqa: S608


def parameters(start: datetime, end: datetime) -> dict[str, Any]:
    """What ATTRIBUTED asks for, of the impressions shown from `start` to before `end` (aware)."""
    horizon = timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS)
    return {
        "start": start,
        "end": end,
        "horizon": horizon,
        "events_end": end + 2 * horizon,
    }
