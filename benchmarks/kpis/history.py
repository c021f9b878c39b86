"""A year of lists, clicks and orders, made in Postgres by SQL, day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

LISTS_PER_SESSION = 4
SEEN, CLICKED, BOUGHT, REFUNDED = 0.4, 0.1, 0.15, 0.1  # of lists; of lists; of sessions; of orders

UUID7 = (
    "(lpad(to_hex({at}), 12, '0') || '7' || substr({digits}, 1, 3) || '8' || substr({digits}, 4, 15))::uuid"
)
ITEM = "CASE WHEN clicked OR draw < 0.5 THEN items[1] ELSE 'elsewhere' END"
PRICE = "round((5 + draw * 95)::numeric, 2), CASE WHEN draw < 0.9 THEN 'EUR' ELSE 'CHF' END"
TIME = "to_timestamp(({}) / 1000.0)"

# Each list holds eight of 2,000 products, on one of four placements, by a model or the popular step.
FILL = f"""
CREATE TEMP TABLE made ON COMMIT DROP AS
WITH sessions AS MATERIALIZED (
    SELECT md5(random()::text) AS digits, (%(start)s + random() * 82800000)::bigint AS began,
           (random() * 2000)::int AS taste, random() < {BOUGHT} AS buys
    FROM generate_series(1, %(sessions)s)
)
SELECT {UUID7.format(at="began", digits="digits")} AS session_id, buys, place,
       began + place * 60000 AS at, md5(digits || place) AS digits,
       ARRAY(SELECT ((taste + place * 8 + n) %% 2000)::text FROM generate_series(1, 8) AS n) AS items,
       random() < {SEEN} AS seen, random() < {CLICKED} AS clicked, random() AS draw
FROM sessions CROSS JOIN generate_series(0, {LISTS_PER_SESSION - 1}) AS place;

INSERT INTO sessrec_impression (
    impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant, item_ids,
    reasons, bot, wanted, session_clicks, session_intents, duration_us
)
SELECT {UUID7.format(at="at", digits="digits")}, {TIME.format("at")}, session_id,
       (ARRAY['home', 'product_page', 'basket', 'category'])[place + 1],
       CASE WHEN draw < 0.6 THEN 'ranked' WHEN draw < 0.9 THEN 'neighbours' ELSE '' END,
       CASE WHEN draw < 0.9 THEN 1 + %(number)s / 7 END, CASE WHEN draw < 0.9 THEN 'model' ELSE 'popular' END,
       CASE WHEN place = 1 THEN 'ranker' ELSE '' END,
       CASE WHEN place = 1 THEN CASE WHEN get_byte(uuid_send(session_id), 15) < 128 THEN 'a' ELSE 'b' END
            ELSE '' END,
       items, '{{}}', false, 8, 3 * place, 1 + (draw * 2)::int, 1000 + (draw * 9000)::int
FROM made;

INSERT INTO sessrec_event (
    event_id, occurred_at, session_id, name, item_id, impression_id, quantity, price, currency, source, bot
)
SELECT {UUID7.format(at="at", digits="md5(digits || 'seen')")}, {TIME.format("at")}, session_id,
       'view_item_list', '', {UUID7.format(at="at", digits="digits")}, 1, NULL::numeric, '', 'browser', false
FROM made WHERE seen
UNION ALL
SELECT {UUID7.format(at="at + 5000", digits="md5(digits || 'click')")}, {TIME.format("at + 5000")},
       session_id, 'select_item', items[1], {UUID7.format(at="at", digits="digits")}, 1, NULL, '', 'server',
       false
FROM made WHERE clicked
UNION ALL
SELECT {UUID7.format(at="at + 300000", digits="md5(digits || 'order')")}, {TIME.format("at + 300000")},
       session_id, 'purchase', {ITEM}, NULL, 1 + (draw * 3)::int, {PRICE}, 'server', false
FROM made WHERE buys AND place = 0
UNION ALL
SELECT {UUID7.format(at="at + 300001", digits="md5(digits || 'order')")}, {TIME.format("at + 300001")},
       session_id, 'refund', {ITEM}, NULL, 1, {PRICE}, 'server', false
FROM made WHERE buys AND place = 0 AND mod((draw * 100)::numeric, 1) < {REFUNDED}
"""

# The same figures in the plainest words that say them, of all days at once.
RAW_LISTS = """
WITH told AS (
    SELECT impression_id, bool_or(name = 'view_item_list') AS seen, bool_or(name = 'select_item') AS clicked
    FROM sessrec_event WHERE impression_id IS NOT NULL GROUP BY impression_id
)
SELECT placement, count(*), sum(cardinality(item_ids)), count(*) FILTER (WHERE seen),
       count(*) FILTER (WHERE clicked)
FROM sessrec_impression LEFT JOIN told USING (impression_id) GROUP BY placement ORDER BY placement
"""
RAW_MONEY = """
WITH sold AS (
    SELECT session_id, item_id, currency, occurred_at, quantity * price AS amount
    FROM sessrec_event WHERE name = 'purchase'
),
back AS (
    SELECT session_id, item_id, sum(quantity * price) AS amount
    FROM sessrec_event WHERE name = 'refund' GROUP BY session_id, item_id
),
clicked AS (
    SELECT session_id, item_id, min(occurred_at) AS first
    FROM sessrec_event WHERE name = 'select_item' GROUP BY session_id, item_id
)
SELECT currency, sum(sold.amount - coalesce(back.amount, 0)),
       coalesce(sum(sold.amount - coalesce(back.amount, 0)) FILTER (WHERE first <= occurred_at), 0)
FROM sold LEFT JOIN back USING (session_id, item_id) LEFT JOIN clicked USING (session_id, item_id)
GROUP BY currency ORDER BY currency
"""


def fill(day: date, number: int, lists: int) -> None:
    """One day's sessions, between midnight and 23 o'clock UTC."""
    from django_sessrec import database

    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    values = {
        "start": int(start.timestamp() * 1000),
        "sessions": -(-lists // LISTS_PER_SESSION),
        "number": number,
    }
    with database.atomic(), database.connection().cursor() as cursor:
        for statement in FILL.split(";"):
            cursor.execute(statement, values)


def days_before(today: date, days: int) -> list[date]:
    """The days up to yesterday, the first one first."""
    return [today - timedelta(days=ago) for ago in range(days, 0, -1)]
