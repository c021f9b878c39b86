"""Arms of an experiment: what the sessions of each variant did, as sums, squares and products over sessions.

A session belongs to the variant and the day of its first list since the experiment is counted. What it does
afterwards counts, whatever it was recommended: orders of the session, not only those after a click. Bots and
quarantined sessions count nowhere; an erased session takes its figures with it.
"""

# ruff: noqa: S608 - only the constants of this file are put together

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django_sessrec import database
from django_sessrec.experiment_models import DailyArm, Experiment
from django_sessrec.measuring.comparison import Squares
from django_sessrec.measuring.sequences import Ratio

HOURS: Final = 24  # of the longest session, see capture.cookie
# Of a session.
MEASURES: Final = (
    *("lists", "answered", "filled", "clicked"),  # lists: all; by the variant's own model; as long as planned
    *("ordered", "lines", "refunded", "revenue"),  # 1 after an order; its lines; those that came back; sales
    "preferred",  # clicks on the second model's items less those on the first's, in interleaved lists
)
RATIOS: Final[Mapping[str, tuple[str, str]]] = {  # name -> hits, trials; "" is the session itself
    "clicks": ("clicked", "lists"),
    "orders": ("ordered", ""),
    "revenue": ("revenue", ""),
    "preference": ("preferred", ""),
    "full": ("filled", "lists"),
    "answered": ("answered", "lists"),
    "refunds": ("refunded", "lines"),
}
PAIRS: Final = tuple(
    dict.fromkeys(
        pair
        for hits, trials in RATIOS.values()
        for pair in (((hits, hits), (hits, trials), (trials, trials)) if trials else ((hits, hits),))
    )
)
LINE: Final = "right(replace({}.event_id::text, '-', ''), 19)"  # of an order, see attribution

# The lists of experiments; and those of one placement, as they would be without one.
OF_EXPERIMENTS: Final = """
    SELECT i.impression_id, i.session_id, i.shown_at, i.experiment, i.variant, i.item_ids, i.reasons,
           coalesce(v.holdout, false)
               OR i.step = 'model' AND i.model = coalesce(v.model, i.model) AS answered,
           coalesce(v.holdout, false) OR cardinality(i.item_ids) >= coalesce(v.length, x.longest) AS filled,
           x.cap, x.currency
    FROM sessrec_impression i
    JOIN (
        SELECT e.*, (SELECT max(v.length) FROM sessrec_variant v WHERE v.experiment_id = e.id) AS longest
        FROM sessrec_experiment e WHERE e.counted_from IS NOT NULL
    ) x ON x.name = i.experiment
    LEFT JOIN sessrec_variant v ON v.experiment_id = x.id AND v.name = i.variant
    WHERE i.shown_at >= x.counted_from AND (x.stopped_at IS NULL OR i.shown_at < x.stopped_at)
"""
OF_PLACEMENT: Final = """
    SELECT i.impression_id, i.session_id, i.shown_at, '' AS experiment, '' AS variant, i.item_ids, i.reasons,
           true AS answered, true AS filled, %(cap)s::numeric AS cap, %(currency)s::text AS currency
    FROM sessrec_impression i WHERE i.placement = %(placement)s
"""
# Only orders are joined, by the index of their sessions: Postgres expects one row of a WITH query that holds
# thousands, and would join it to another one by one. All the rest is grouping.
SQL: Final = """
WITH held AS MATERIALIZED (SELECT session_id FROM sessrec_quarantine WHERE released_at IS NULL),
shown AS MATERIALIZED (
    {lists} AND i.shown_at >= {before} AND i.shown_at < {after} AND NOT i.bot
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
),
lists AS (
    SELECT impression_id, session_id, min(shown_at) AS shown_at, max(experiment) AS experiment,
           max(variant) AS variant, max(cap) AS cap, max(currency) AS currency,
           bool_or(answered) AS answered, bool_or(filled) AS filled,
           max(item_ids) AS item_ids, max(reasons) AS reasons,
           array_agg(DISTINCT clicked) FILTER (WHERE clicked IS NOT NULL) AS clicked
    FROM (
        SELECT shown.*, NULL AS clicked FROM shown
        UNION ALL
        SELECT impression_id, session_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, item_id
        FROM sessrec_event
        WHERE name = 'select_item' AND impression_id IS NOT NULL AND NOT bot
          AND occurred_at >= {before} AND occurred_at < {after}
    ) AS rows
    GROUP BY impression_id, session_id HAVING count(shown_at) > 0
),
entered AS MATERIALIZED (
    SELECT session_id, experiment, min(shown_at) AS first_at, min(cap) AS cap, min(currency) AS wanted,
           (array_agg(variant ORDER BY shown_at))[1] AS variant, count(*) AS lists,
           count(*) FILTER (WHERE answered) AS answered, count(*) FILTER (WHERE filled) AS filled,
           count(*) FILTER (WHERE clicked && item_ids) AS clicked,
           coalesce(sum({preferred}) FILTER (WHERE variant = 'interleaved'), 0) AS preferred
    FROM lists GROUP BY session_id, experiment
    HAVING min(shown_at) >= %(start)s AND min(shown_at) < %(end)s
),
bought AS (
    SELECT DISTINCT ON (n.experiment, n.session_id, {line})
           n.session_id, n.experiment, p.currency = n.wanted AS counts,
           p.quantity * coalesce(p.price, 0) AS amount
    FROM entered n JOIN sessrec_event p USING (session_id)
    WHERE p.name = 'purchase' AND NOT p.bot AND p.occurred_at >= n.first_at AND p.occurred_at < {after}
    ORDER BY n.experiment, n.session_id, {line}, p.occurred_at
),
refunds AS (
    SELECT n.session_id, n.experiment, r.currency = n.wanted AS counts,
           r.quantity * coalesce(r.price, 0) AS amount
    FROM entered n JOIN sessrec_event r USING (session_id)
    WHERE r.name = 'refund' AND NOT r.bot AND r.occurred_at >= n.first_at
),
sessions AS (
    SELECT experiment, max(variant) AS variant, sum(lists) AS lists, sum(answered) AS answered,
           sum(filled) AS filled, sum(clicked) AS clicked, sum(preferred) AS preferred,
           least(sum(lines), 1) AS ordered, sum(lines) AS lines, least(sum(lines), sum(refunded)) AS refunded,
           greatest(0, least(max(cap), sum(amount))) AS revenue
    FROM (
        SELECT session_id, experiment, variant, cap, lists, answered, filled, clicked, preferred,
               0 AS lines, 0 AS refunded, 0 AS amount
        FROM entered
        UNION ALL
        SELECT session_id, experiment, NULL, NULL, 0, 0, 0, 0, 0, 1, 0, amount * counts::int FROM bought
        UNION ALL
        SELECT session_id, experiment, NULL, NULL, 0, 0, 0, 0, 0, 0, 1, -amount * counts::int FROM refunds
    ) AS rows GROUP BY session_id, experiment
)
SELECT experiment, variant, count(*)::int, ARRAY[{sums}]::float8[], ARRAY[{squares}]::float8[]
FROM sessions GROUP BY experiment, variant
"""
# What the clicks of an interleaved list say: the place among its drafted items tells the team.
PREFERRED: Final = """(
    SELECT coalesce(sum(CASE team WHEN 1 THEN 1 ELSE -1 END), 0) FROM (
        SELECT place %% 2 # get_bit(
            sha256(convert_to('teams' || experiment, 'UTF8') || uuid_send(session_id)), place / 2
        ) AS team
        FROM (
            SELECT item_id, (row_number() OVER (ORDER BY n))::int - 1 AS place
            FROM unnest(item_ids, reasons) WITH ORDINALITY AS drafted (item_id, reason, n)
            WHERE coalesce(reason, '') NOT IN ('pinned', 'sponsored', 'rule')
        ) AS drafted WHERE item_id = ANY (clicked)
    ) AS credited
)"""


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant's sessions: their number, sums of MEASURES, and sums of products of PAIRS."""

    sessions: int = 0
    sums: Sequence[float] = field(default=(0.0,) * len(MEASURES))
    products: Sequence[float] = field(default=(0.0,) * len(PAIRS))

    def __add__(self, other: Arm) -> Arm:
        """Both, where no session is in both."""
        return Arm(
            self.sessions + other.sessions,
            [a + b for a, b in zip(self.sums, other.sums, strict=True)],
            [a + b for a, b in zip(self.products, other.products, strict=True)],
        )

    def sum(self, measure: str) -> float:
        return self.sums[MEASURES.index(measure)]

    def ratio(self, name: str) -> Ratio:
        """One of RATIOS."""
        hits, trials = RATIOS[name]
        squares = self._product(hits, hits)
        if not trials:
            return Ratio.mean(self.sum(hits), squares, self.sessions)
        products = Squares(squares, self._product(hits, trials), self._product(trials, trials))
        return Ratio(self.sum(hits), self.sum(trials), self.sessions, products)

    def _product(self, one: str, other: str) -> float:
        return self.products[PAIRS.index((one, other))]


def arms(experiment: Experiment) -> dict[str, Arm]:
    """Variant -> its sessions since the experiment is counted, as of the last roll-up."""
    found: dict[str, Arm] = {}
    for row in DailyArm.objects.filter(experiment=experiment.name):
        found[row.variant] = found.get(row.variant, Arm()) + Arm(row.sessions, row.sums, row.products)
    return found


def usual(placement: str, start: datetime, end: datetime, currency: str = "", cap: Any = None) -> Arm:
    """All sessions of a placement as one arm, from which an experiment is planned; times are aware."""
    values = {"placement": placement, "currency": currency, "cap": cap, "start": start, "end": end}
    with database.connection().cursor() as cursor:
        cursor.execute(_sql(OF_PLACEMENT), values)
        return next((Arm(*sums) for _experiment, _variant, *sums in cursor.fetchall()), Arm())


def _sql(lists: str) -> str:
    return SQL.format(
        lists=lists,
        preferred=PREFERRED,
        line=LINE.format("p"),
        before=f"%(start)s - interval '{HOURS} hours'",
        after=f"%(end)s + interval '{2 * HOURS} hours'",
        sums=", ".join(f"sum({measure})" for measure in MEASURES),
        squares=", ".join(f"sum({one}::float8 * {other})" for one, other in PAIRS),
    )


# One day's rows, for measuring.rollups: a session is the day's on which its first list was shown.
DAY: Final = f"""
INSERT INTO sessrec_dailyarm (day, experiment, variant, sessions, sums, products)
SELECT %(day)s, arms.* FROM ({_sql(OF_EXPERIMENTS)}) AS arms
"""
