"""Attribution of clicks, baskets and orders to the list they came from.

A click is a select_item that names an impression of its own session which lists the item, no later than
ATTRIBUTION_HOURS after it was shown; the same item of the same impression counts once. What happens to
the item afterwards in that session, within ATTRIBUTION_HOURS of a click on it, belongs to the latest such
click. Bots and quarantined sessions count nowhere.

An order's line is kept once, in sessrec_attribution, on the day on which it was first told. By that telling
it is credited "direct" to the latest click, else "assisted" to the latest list of its session that held the
item, one that was seen before one that was not, else to none. Lines that were recorded with an order id carry
it in the lower bits of their own id (ids.order_line_id): so a purchase told three times counts once, and a
refund finds its purchase at any age. All refunds of a line take no more than it brought.
"""
# ruff: noqa: S608 - only the constants of this file are put together

from __future__ import annotations

from typing import Final

LINE: Final = "right(replace({}.event_id::text, '-', ''), 19)"  # all of the id but time and version
LIST: Final = "placement, model, run_id, step, experiment, variant, session_clicks, session_intents"
IMPRESSION: Final = f"impression_id, session_id, shown_at, {LIST}"

# Every time is bounded, so that Postgres opens few partitions: those of the window once, and for each click
# those around it. The bounds reach past the window: an impression's click and purchase come later, and a
# click on a list of the day before may be the latest one. A browser's clock may be behind the server's: its
# click is then older than the list. Past the first two joins there is only grouping: Postgres expects one row
# of a WITH query that holds 70,000, and would join it to another one by one.
CLICKS: Final = f"""
held AS MATERIALIZED (SELECT session_id FROM sessrec_quarantine WHERE released_at IS NULL),
selects AS MATERIALIZED (
    SELECT {IMPRESSION}, s.item_id, s.occurred_at
    FROM sessrec_event s
    JOIN sessrec_impression i USING (impression_id, session_id)
    WHERE s.name = 'select_item' AND s.impression_id IS NOT NULL AND NOT s.bot AND NOT i.bot
      AND s.occurred_at >= %(before)s AND s.occurred_at < %(after)s
      AND i.shown_at >= %(first_list)s AND i.shown_at < %(last_list)s
      AND i.shown_at BETWEEN s.occurred_at - %(horizon)s AND s.occurred_at + %(horizon)s
      AND s.item_id = ANY (i.item_ids)
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
),
outcomes AS MATERIALIZED (
    SELECT DISTINCT ON (CASE o.name WHEN 'purchase' THEN {LINE.format("o")} ELSE o.event_id::text END)
           o.event_id, o.name, o.occurred_at AS happened_at, c.*
    FROM selects c
    JOIN sessrec_event o ON o.session_id = c.session_id AND o.item_id = c.item_id
    WHERE o.name IN ('add_to_cart', 'purchase') AND NOT o.bot
      AND o.occurred_at >= %(before)s AND o.occurred_at < %(after)s
      AND o.occurred_at >= c.occurred_at AND o.occurred_at < c.occurred_at + %(horizon)s
    ORDER BY CASE o.name WHEN 'purchase' THEN {LINE.format("o")} ELSE o.event_id::text END,
             o.occurred_at, c.occurred_at DESC, c.shown_at DESC
),
clicks AS (
    SELECT {IMPRESSION}, item_id,
           bool_or(name = 'add_to_cart') AS carted, bool_or(name = 'purchase') AS bought
    FROM (
        SELECT {IMPRESSION}, item_id, 'select_item' AS name FROM selects
        UNION ALL
        SELECT {IMPRESSION}, item_id, name FROM outcomes o
        WHERE NOT EXISTS (  -- bought before the click, and told again after it
            SELECT FROM sessrec_attribution line
            WHERE o.name = 'purchase' AND line.reference = {LINE.format("o")} AND line.credit <> 'direct'
        )
    ) AS happened
    GROUP BY {IMPRESSION}, item_id
)
"""

# A line that is known from an earlier day stays there. One whose raw rows are gone, since its visitor was
# erased, stays as it is: the other buyers' numbers begin past its own.
KEEP_LINES: Final = (
    "WITH"
    + CLICKS
    + f""",
sold AS MATERIALIZED (
    SELECT DISTINCT ON (reference) * FROM (
        SELECT {LINE.format("p")} AS reference, p.event_id, p.occurred_at, p.session_id, p.item_id,
               p.quantity, p.price, p.currency
        FROM sessrec_event p
        WHERE p.name = 'purchase' AND NOT p.bot
          AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s
          AND NOT EXISTS (SELECT FROM held WHERE held.session_id = p.session_id)
    ) AS told ORDER BY reference, occurred_at
),
direct AS MATERIALIZED (
    SELECT o.event_id, o.shown_at, {LIST} FROM outcomes o WHERE o.name = 'purchase'
),
assisted AS MATERIALIZED (
    SELECT DISTINCT ON (sold.event_id) sold.event_id, i.shown_at, {LIST}
    FROM sold JOIN sessrec_impression i ON i.session_id = sold.session_id
    WHERE NOT EXISTS (SELECT FROM direct WHERE direct.event_id = sold.event_id)
      AND i.shown_at >= %(before)s AND i.shown_at < %(end)s
      AND i.shown_at BETWEEN sold.occurred_at - %(horizon)s AND sold.occurred_at
      AND NOT i.bot AND sold.item_id = ANY (i.item_ids)
    ORDER BY sold.event_id, EXISTS (
        SELECT FROM sessrec_event s
        WHERE s.impression_id = i.impression_id AND s.name = 'view_item_list'
          AND s.occurred_at >= %(before)s AND s.occurred_at < %(after)s
    ) DESC, i.shown_at DESC
),
credited AS (
    SELECT *, 'direct' AS credit FROM direct UNION ALL SELECT *, 'assisted' FROM assisted
),
erased AS (
    SELECT coalesce(max(buyer), 0) AS buyers FROM sessrec_attribution line
    WHERE ordered_on = %(day)s AND in_session
      AND NOT EXISTS (SELECT FROM sold WHERE sold.reference = line.reference)
)
INSERT INTO sessrec_attribution AS known (
    reference, ordered_on, buyer, in_session, item_id, quantity, price, currency, amount, refunded,
    credit, shown_on, {LIST}
)
SELECT reference, %(day)s, (SELECT buyers FROM erased) + dense_rank() OVER (ORDER BY session_id), true,
       item_id, quantity, price, currency, quantity * coalesce(price, 0), 0,
       coalesce(credit, 'none'), (shown_at AT TIME ZONE %(time_zone)s)::date,
       coalesce(placement, ''), coalesce(model, ''), coalesce(run_id, 0), coalesce(step, ''),
       coalesce(experiment, ''), coalesce(variant, ''), session_clicks, session_intents
FROM sold LEFT JOIN credited USING (event_id)
ON CONFLICT (reference) DO UPDATE SET
    (ordered_on, buyer, in_session, item_id, quantity, price, currency, amount, credit, shown_on, {LIST})
    = (excluded.ordered_on, excluded.buyer, excluded.in_session, excluded.item_id, excluded.quantity,
       excluded.price, excluded.currency, excluded.amount, excluded.credit, excluded.shown_on,
       excluded.placement, excluded.model, excluded.run_id, excluded.step, excluded.experiment,
       excluded.variant, excluded.session_clicks, excluded.session_intents)
WHERE known.ordered_on >= excluded.ordered_on
"""
)

# Of sessions that have come into quarantine since.
DROP_LINES: Final = f"""
DELETE FROM sessrec_attribution
WHERE ordered_on = %(day)s AND reference IN (
    SELECT {LINE.format("p")} FROM sessrec_event p
    WHERE p.name = 'purchase' AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s
      AND (p.bot OR EXISTS (
          SELECT FROM sessrec_quarantine held
          WHERE held.session_id = p.session_id AND held.released_at IS NULL
      ))
)
"""

# That are the next day's since TIME_ZONE has changed.
LEAVE_TO_NEXT_DAY: Final = f"""
DELETE FROM sessrec_attribution
WHERE ordered_on = %(day)s AND in_session AND reference IN (
    SELECT {LINE.format("p")} FROM sessrec_event p
    WHERE p.name = 'purchase' AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s + interval '1 day'
    GROUP BY 1 HAVING min(p.occurred_at) >= %(end)s
)
"""

# The days that a line leaves for this one, on which it was told before.
LATER_DAYS: Final = f"""
SELECT DISTINCT known.ordered_on
FROM sessrec_event p JOIN sessrec_attribution known ON known.reference = {LINE.format("p")}
WHERE p.name = 'purchase' AND NOT p.bot AND p.occurred_at >= %(start)s AND p.occurred_at < %(end)s
  AND known.ordered_on > %(day)s
"""

# A refund without an order id belongs to the session's latest purchase of the item within ATTRIBUTION_HOURS.
KEEP_REFUNDS: Final = f"""
INSERT INTO sessrec_refund (event_id, reference, refunded_on, in_session, quantity, price, currency)
SELECT r.event_id, coalesce(own.reference, (
           SELECT {LINE.format("p")} FROM sessrec_event p
           WHERE p.session_id = r.session_id AND p.item_id = r.item_id AND p.name = 'purchase'
             AND p.occurred_at <= r.occurred_at AND p.occurred_at > r.occurred_at - %(horizon)s
             AND p.occurred_at >= %(before)s AND p.occurred_at < %(end)s
           ORDER BY p.occurred_at DESC LIMIT 1
       ), {LINE.format("r")}),
       %(day)s, true, r.quantity, r.price, r.currency
FROM sessrec_event r LEFT JOIN sessrec_attribution own ON own.reference = {LINE.format("r")}
WHERE r.name = 'refund' AND NOT r.bot AND r.occurred_at >= %(start)s AND r.occurred_at < %(end)s
ON CONFLICT (event_id) DO UPDATE SET reference = excluded.reference
"""

# The days of refunds that a line of this day belongs to, and that another one has as long as it was unknown.
REFUNDS_ELSEWHERE: Final = f"""
SELECT DISTINCT refund.refunded_on
FROM sessrec_attribution line JOIN sessrec_refund refund ON line.reference = {LINE.format("refund")}
WHERE line.ordered_on = %(day)s AND refund.reference <> line.reference
  AND refund.refunded_on > %(day)s AND refund.refunded_on <= (%(after)s AT TIME ZONE %(time_zone)s)::date
"""

# The lines that the day's refunds belonged to before: one that comes after its refund takes it from another.
REFUNDED_BEFORE: Final = "SELECT DISTINCT reference FROM sessrec_refund WHERE refunded_on = %(day)s"

# What came back, in pieces where the refund names no price, or one in another currency than the order's.
TAKE_REFUNDS: Final = """
UPDATE sessrec_attribution line SET refunded = back.refunded
FROM (
    SELECT line.reference, least(line.amount, coalesce(sum(refund.quantity * CASE
               WHEN refund.price IS NULL OR refund.currency NOT IN ('', line.currency)
               THEN coalesce(line.price, 0) ELSE refund.price
           END), 0)) AS refunded
    FROM sessrec_attribution line LEFT JOIN sessrec_refund refund USING (reference)
    WHERE line.ordered_on = %(day)s AND refund.reference IS NOT NULL
       OR line.reference = ANY (%(refunded_before)s)
       OR line.reference IN (SELECT reference FROM sessrec_refund WHERE refunded_on = %(day)s)
    GROUP BY line.reference
) AS back
WHERE line.reference = back.reference AND line.refunded <> back.refunded
RETURNING line.reference
"""
