"""The SQL of a day's sums: each an INSERT of one day's rows into one table.

A session's counts come first and their sums after, in every grouping at once: the session is the unit of each
interval, and what a session adds to two groups can't be told from the groups' sums.

Empty lists count in experiments only, which alone keep them.
"""
# ruff: noqa: S608 - only the constants of this file are put together

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from django_sessrec.measuring.attribution import CLICKS
from django_sessrec.measuring.definitions import COUNTS, RATES
from django_sessrec.recsys import evaluation

FINEST: Final = ("placement", "model", "run_id", "step", "experiment", "variant")
COLUMNS: Final = (*FINEST, "session_length", "intents")
# Clicks before the list, those of models' tests; and live intents. Empty: not known.
SESSION_LENGTHS: Final[Mapping[str, tuple[int, int]]] = {"0": (0, 0), **evaluation.LENGTHS}
INTENTS: Final[Mapping[str, tuple[int, int]]] = evaluation.INTENTS
GROUPINGS: Final[Sequence[tuple[str, ...]]] = (
    (),
    ("placement",),
    ("model",),
    ("placement", "model"),
    ("placement", "step"),
    ("placement", "experiment", "variant"),
    ("session_length",),
    ("intents",),
    ("experiment", "variant", "session_length"),
    FINEST,
)
# Of each pair the sum of their product over the sessions: for intervals of rates, see comparison.py.
PAIRS: Final = tuple(
    dict.fromkeys(
        pair for hits, trials in RATES.values() for pair in ((hits, hits), (hits, trials), (trials, trials))
    )
)

NAMES: Final = ", ".join(COLUMNS)
BIGGEST: Final = 2**15 - 1  # smallint


def _in_groups(column: str, groups: Mapping[str, tuple[int, int]]) -> str:
    cases = (
        f"WHEN {column} BETWEEN {least} AND {min(most, BIGGEST)} THEN '{name}'"
        for name, (least, most) in groups.items()
    )
    return f"CASE {' '.join(cases)} ELSE '' END"


GROUPS: Final = (
    f"{_in_groups('i.session_clicks', SESSION_LENGTHS)} AS session_length,"
    f" {_in_groups('i.session_intents', INTENTS)} AS intents"
)
OF_LIST: Final = (
    "i.placement, i.model, coalesce(i.run_id, 0) AS run_id, i.step, i.experiment, i.variant, " + GROUPS
)
EMPTY: Final = ", ".join(f"coalesce({name}, {0 if name == 'run_id' else repr('')})" for name in COLUMNS)


def key_of(grouping: Sequence[str]) -> str:
    """What stands in `grouped_by`."""
    return ",".join(grouping)


def _number(grouping: Sequence[str]) -> int:
    """Postgres's number of a grouping set: a bit for each column left out, the first highest."""
    highest = len(COLUMNS) - 1
    return sum(1 << highest - place for place, name in enumerate(COLUMNS) if name not in grouping)


def _case() -> str:
    """Postgres's number of a grouping set -> its key."""
    sets = {_number(grouping): key_of(grouping) for grouping in GROUPINGS}
    return "CASE grouping_set " + " ".join(f"WHEN {bits} THEN '{key}'" for bits, key in sets.items()) + " END"


def _sets(*unit: str) -> str:
    return ", ".join(f"({', '.join([*unit, *grouping])})" for grouping in GROUPINGS)


# A list that is shown shortly before midnight may be seen after it.
SEEN: Final = """,
seen AS MATERIALIZED (
    SELECT DISTINCT impression_id FROM sessrec_event
    WHERE name = 'view_item_list' AND occurred_at >= %(start)s AND occurred_at < %(end)s + %(horizon)s
),"""

# A session's counts are kept as int, since Postgres sums bigint as numeric, which takes twice as long.
LISTS: Final = (
    "WITH"
    + CLICKS
    + SEEN
    + f"""
parts AS (
    SELECT i.session_id, {OF_LIST}, count(*)::int AS impressions,
           sum(cardinality(i.item_ids))::int AS items_shown,
           count(seen.impression_id)::int AS seen_impressions,
           0 AS clicked_impressions, 0 AS seen_and_clicked, 0 AS clicks, 0 AS carts, 0 AS purchases,
           (count(*) FILTER (WHERE cardinality(i.item_ids) < i.wanted))::int AS short_impressions
    FROM sessrec_impression i LEFT JOIN seen USING (impression_id)
    WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s AND NOT i.bot AND cardinality(i.item_ids) > 0
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
    GROUP BY i.session_id, {NAMES}
    UNION ALL
    SELECT i.session_id, {OF_LIST}, 0, 0, 0, count(DISTINCT i.impression_id)::int,
           count(DISTINCT seen.impression_id)::int, count(*)::int, (count(*) FILTER (WHERE i.carted))::int,
           (count(*) FILTER (WHERE i.bought))::int, 0
    FROM clicks i LEFT JOIN seen USING (impression_id)
    WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s
    GROUP BY i.session_id, {NAMES}
),
of_sessions AS (
    SELECT grouping({NAMES}) AS grouping_set, {NAMES},
           {", ".join(f"sum({name})::int AS {name}" for name in COUNTS)}
    FROM parts GROUP BY GROUPING SETS ({_sets("session_id")})
)
INSERT INTO sessrec_dailylists (day, grouped_by, {NAMES}, sessions, {", ".join(COUNTS)}, squares)
SELECT %(day)s, {_case()}, {EMPTY}, count(*), {", ".join(f"sum({name})" for name in COUNTS)},
       ARRAY[{", ".join(f"sum({one}::float8 * {other})" for one, other in PAIRS)}]
FROM of_sessions GROUP BY grouping_set, {NAMES}
"""
)

# Lines without a list are in the whole and, without a name, among the finest groups, which add up to it.
REVENUE: Final = f"""
WITH buyers AS (
    SELECT grouping({NAMES}) AS grouping_set, {NAMES}, currency, buyer,
           bool_or(credit = 'direct') AS has_direct,
           bool_or(credit = 'assisted') AS has_assisted,
           coalesce(sum(amount - refunded) FILTER (WHERE credit = 'direct'), 0) AS direct,
           coalesce(sum(amount - refunded) FILTER (WHERE credit = 'assisted'), 0) AS assisted,
           sum(amount - refunded) AS total,
           coalesce(sum(refunded) FILTER (WHERE credit = 'direct'), 0) AS direct_refunded,
           coalesce(sum(refunded) FILTER (WHERE credit = 'assisted'), 0) AS assisted_refunded,
           sum(refunded) AS total_refunded,
           coalesce(sum(amount - refunded) FILTER (WHERE NOT in_session), 0) AS without_session
    FROM (SELECT i.*, {GROUPS} FROM sessrec_attribution i WHERE ordered_on = %(day)s) AS lines
    GROUP BY GROUPING SETS ({_sets("currency", "buyer")})
)
INSERT INTO sessrec_dailyrevenue (
    day, grouped_by, {NAMES}, currency, direct_orders, assisted_orders, orders, direct, assisted, total,
    direct_refunded, assisted_refunded, total_refunded, without_session, direct_squares, direct_by_total,
    total_squares
)
SELECT %(day)s, {_case()}, {EMPTY}, currency, count(*) FILTER (WHERE has_direct),
       count(*) FILTER (WHERE has_assisted), count(*), sum(direct), sum(assisted), sum(total),
       sum(direct_refunded), sum(assisted_refunded), sum(total_refunded), sum(without_session),
       sum(direct::float8 * direct::float8), sum(direct::float8 * total::float8),
       sum(total::float8 * total::float8)
FROM buyers WHERE has_direct OR has_assisted OR grouping_set IN ({_number(())}, {_number(FINEST)})
GROUP BY grouping_set, {NAMES}, currency
"""

DAYS_OF_LINES: Final = """
SELECT DISTINCT ordered_on FROM sessrec_attribution WHERE reference = ANY (%(references)s)
"""

SHOP: Final = """
WITH rows AS (
    SELECT session_id, bot, false AS listed, name = 'add_to_cart' AS carted, name = 'purchase' AS bought
    FROM sessrec_event
    WHERE name <> 'refund' AND occurred_at >= %(start)s AND occurred_at < %(end)s  -- nobody visits for one
    UNION ALL
    SELECT session_id, bot, cardinality(item_ids) > 0, false, false
    FROM sessrec_impression WHERE shown_at >= %(start)s AND shown_at < %(end)s
),
sessions AS (
    SELECT session_id, bool_or(bot) AS bot, bool_or(listed) AS listed, bool_or(carted) AS carted,
           bool_or(bought) AS bought
    FROM rows GROUP BY session_id
),
judged AS (
    SELECT sessions.*, held.session_id IS NOT NULL AS held FROM sessions
    LEFT JOIN sessrec_quarantine held ON held.session_id = sessions.session_id AND held.released_at IS NULL
)
INSERT INTO sessrec_dailyshop (day, sessions, bots, quarantined, with_list, with_basket, with_order)
SELECT %(day)s, count(*) FILTER (WHERE NOT bot AND NOT held), count(*) FILTER (WHERE bot),
       count(*) FILTER (WHERE held AND NOT bot), count(*) FILTER (WHERE listed AND NOT bot AND NOT held),
       count(*) FILTER (WHERE carted AND NOT bot AND NOT held),
       count(*) FILTER (WHERE bought AND NOT bot AND NOT held)
FROM judged
"""

ITEMS: Final = (
    "WITH"
    + CLICKS
    + SEEN
    + """
parts AS (
    SELECT item_id, count(*) AS shown, count(seen.impression_id) AS seen, 0 AS clicked, 0 AS bought, 0 AS sold
    FROM sessrec_impression i LEFT JOIN seen USING (impression_id), unnest(i.item_ids) AS item_id
    WHERE i.shown_at >= %(start)s AND i.shown_at < %(end)s AND NOT i.bot
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
    GROUP BY item_id
    UNION ALL
    SELECT item_id, 0, 0, count(*), 0, 0 FROM clicks
    WHERE shown_at >= %(start)s AND shown_at < %(end)s GROUP BY item_id
    UNION ALL
    SELECT item_id, 0, 0, 0, count(*) FILTER (WHERE credit = 'direct'), count(*)
    FROM sessrec_attribution WHERE ordered_on = %(day)s AND item_id <> '' GROUP BY item_id
)
INSERT INTO sessrec_dailyitem (day, item_id, shown, seen, clicked, bought, sold)
SELECT %(day)s, item_id, sum(shown), sum(seen), sum(clicked), sum(bought), sum(sold)
FROM parts GROUP BY item_id
"""
)
