"""Bots that hide, detected from their clicks: kept out of training and reports, and nothing deleted.

A user agent says what a bot wants to be taken for; these rules are for the bots that lie.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from django_sessrec import database
from django_sessrec.conf import sessrec_settings

LATELY: Final = timedelta(days=2)  # a visit ends within a day; a night without upkeep is made good
EVEN: Final = 0.4  # deviation of the pauses over their mean; that of people is near 1
REVISITED: Final = 0.05  # share of clicks that go back to an item; people's is 0.2
SCRIPT_IN_USE: Final = 0.1  # lists seen per list shown, from which on the shop's pages have the script

# The rules need a session's clicks in order, which only those with enough of them are worth. Only what comes
# from pages is judged: the times of an import may be made up, and a till serves many customers.
SUSPECTS = """
WITH clicks AS (
    SELECT session_id, event_id, occurred_at, item_id FROM sessrec_event
    WHERE occurred_at >= %(start)s AND occurred_at < %(end)s
      AND name IN ('view_item', 'add_to_cart') AND NOT bot AND source IN ('server', 'browser')
),
long AS MATERIALIZED (
    SELECT session_id FROM clicks GROUP BY session_id HAVING count(*) >= %(fewest)s
),
paced AS (
    SELECT session_id, item_id, occurred_at,
           extract(epoch FROM occurred_at - lag(occurred_at) OVER visit) AS pause,
           occurred_at - lag(occurred_at, %(per_minute)s::int) OVER visit < interval '1 minute' AS flood,
           occurred_at - lag(occurred_at, %(without_script)s::int) OVER visit < interval '1 minute' AS burst,
           count(*) OVER (PARTITION BY session_id, item_id) AS same_item
    FROM clicks JOIN long USING (session_id)
    WINDOW visit AS (PARTITION BY session_id ORDER BY occurred_at, event_id)
),
visits AS (
    SELECT session_id, count(*) AS clicks, count(DISTINCT item_id) AS items, max(same_item) AS same_item,
           bool_or(flood) AS flood, bool_or(burst) AS burst,
           stddev_pop(pause) / nullif(avg(pause), 0) AS unevenness,
           max(occurred_at) - min(occurred_at) AS lasted
    FROM paced GROUP BY session_id
),
script AS (
    SELECT (SELECT count(*) FROM sessrec_event
            WHERE occurred_at >= %(start)s AND occurred_at < %(end)s AND name = 'view_item_list')
        > %(script_in_use)s * (SELECT count(*) FROM sessrec_impression
                               WHERE shown_at >= %(start)s AND shown_at < %(end)s AND NOT bot
                                 AND cardinality(item_ids) > 0) AS in_use
),
judged AS (
    SELECT session_id, clicks, CASE
        WHEN flood THEN 'flood'
        WHEN burst AND (SELECT in_use FROM script)
             AND EXISTS (SELECT FROM sessrec_impression i WHERE i.session_id = visits.session_id)
             AND NOT EXISTS (SELECT FROM sessrec_event e
                             WHERE e.session_id = visits.session_id AND e.source = 'browser')
             THEN 'no_script'
        WHEN clicks >= %(evenly_spaced)s AND unevenness < %(even)s THEN 'even_pace'
        WHEN items >= %(crawled)s AND items >= (1 - %(revisited)s) * clicks THEN 'crawl'
        WHEN same_item > %(on_one_item)s THEN 'repeat'
        WHEN lasted > %(hours)s * interval '1 hour' THEN 'endless'
    END AS reason
    FROM visits
)
SELECT session_id, reason, clicks FROM judged WHERE reason IS NOT NULL
"""

# Judging takes long, and a session may be erased meanwhile. The lock is one for which sessrec_erase looks: it
# waits for what has it, and who gets it later sees the withdrawal.
AS_A_WRITER: Final = "LOCK TABLE sessrec_failedevent IN ROW EXCLUSIVE MODE"
HOLD: Final = """
INSERT INTO sessrec_quarantine (session_id, reason, clicks, found_at, released_by)
SELECT session_id, reason, clicks, now(), '' FROM unnest(%s::uuid[], %s::text[], %s::int[])
    AS suspect (session_id, reason, clicks)
WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = suspect.session_id)
ON CONFLICT DO NOTHING
RETURNING reason
"""


def quarantine(start: datetime | None = None, end: datetime | None = None) -> Counter[str]:
    """Judge the sessions of [start, end), aware, or the last two days'; return the newly found by reason.

    A session that staff has released is not taken again.
    """
    end = end or timezone.now()
    bounds = sessrec_settings.quarantine
    in_clicks = [bound for rule, bound in bounds.items() if rule != "MAX_SESSION_HOURS" and bound is not None]
    parameters = {
        "start": start or end - LATELY,
        "end": end,
        "fewest": min(in_clicks, default=None if bounds["MAX_SESSION_HOURS"] is None else 2),
        "per_minute": bounds["MAX_CLICKS_PER_MINUTE"],
        "without_script": bounds["MAX_CLICKS_WITHOUT_SCRIPT"],
        "evenly_spaced": bounds["MIN_EVENLY_SPACED_CLICKS"],
        "even": EVEN,
        "crawled": bounds["MIN_CRAWLED_ITEMS"],
        "revisited": REVISITED,
        "on_one_item": bounds["MAX_CLICKS_ON_ONE_ITEM"],
        "hours": bounds["MAX_SESSION_HOURS"],
        "script_in_use": SCRIPT_IN_USE,
    }
    with database.values_apart(), database.connection().cursor() as cursor:
        cursor.execute(SUSPECTS, parameters)
        suspects = cursor.fetchall()
        if not suspects:
            return Counter()
        with database.atomic():
            cursor.execute(AS_A_WRITER)
            cursor.execute(HOLD, [list(column) for column in zip(*suspects, strict=True)])
            return Counter(reason for (reason,) in cursor.fetchall())
