"""Which list earned what: clicks, baskets and purchases led back to the impression they came from.

A click is a select_item that names an impression of its own session which lists the item, no later than
ATTRIBUTION_HOURS after it was shown; the same item of the same impression counts once. What happens to
the item afterwards in that session, within ATTRIBUTION_HOURS of a click on it, belongs to the latest such
click. Bots and quarantined visits count nowhere.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django_sessrec.conf import sessrec_settings

IMPRESSION = "impression_id, shown_at, placement, model, run_id, step, experiment, variant"

# Every time is bounded, so that Postgres opens few partitions: those of the window once, and for each click
# those around it. The bounds reach past the window: an impression's click and purchase come later, and a
# click on a list of the day before may be the latest one. A browser's clock may be behind the server's: its
# click is then older than the list. Past the first two joins there is only grouping: Postgres expects one row
# of a WITH query that holds 70,000, and would join it to another one by one.
ATTRIBUTED = f"""
held AS MATERIALIZED (SELECT session_id FROM sessrec_quarantine WHERE released_at IS NULL),
selects AS MATERIALIZED (
    SELECT {IMPRESSION}, i.session_id, s.item_id, s.occurred_at
    FROM sessrec_event s
    JOIN sessrec_impression i USING (impression_id, session_id)
    WHERE s.name = 'select_item' AND s.impression_id IS NOT NULL AND NOT s.bot AND NOT i.bot
      AND s.occurred_at >= %(start)s AND s.occurred_at < %(events_end)s
      AND i.shown_at BETWEEN s.occurred_at - %(horizon)s AND s.occurred_at + %(horizon)s
      AND s.item_id = ANY (i.item_ids)
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
),
outcomes AS MATERIALIZED (
    SELECT DISTINCT ON (o.event_id) o.name, o.quantity, o.price, o.currency, c.*
    FROM selects c
    JOIN sessrec_event o ON o.session_id = c.session_id AND o.item_id = c.item_id
    WHERE o.name IN ('add_to_cart', 'purchase', 'refund') AND NOT o.bot
      AND o.occurred_at >= %(start)s AND o.occurred_at < %(events_end)s
      AND o.occurred_at >= c.occurred_at AND o.occurred_at < c.occurred_at + %(horizon)s
    ORDER BY o.event_id, c.occurred_at DESC, c.shown_at DESC
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
