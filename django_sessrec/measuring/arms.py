"""Arms of an experiment: what the sessions of each variant did, as sums, squares and products over sessions.

A session belongs to the variant and the day of its first list since the experiment is counted. What it does
afterwards counts, whatever it was recommended: orders of the session, not only those after a click. Bots and
quarantined sessions count nowhere; an erased session takes its figures with it.

Lists are summed from raw rows. Orders are summed from the order lines that outlive these, which know what
came back at any age: `sessrec_armline` says which lines count in which arm.
"""

# ruff: noqa: S608 - only the constants of this file are put together

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django_sessrec import database
from django_sessrec.experiment_models import DailyArm, DailyArmOrders, Experiment
from django_sessrec.measuring.attribution import LINE
from django_sessrec.measuring.comparison import Squares
from django_sessrec.measuring.sequences import Ratio

HOURS: Final = 24  # of the longest session, see capture.cookie
# Of a session. lists: all; by the variant's own model; as long as wanted. preferred: clicks on the second
# model's items less those on the first's, in interleaved lists. milliseconds: that its lists took.
OF_LISTS: Final = ("lists", "answered", "filled", "clicked", "preferred", "milliseconds")
# ordered: 1 after an order. lines: its lines; those that came back. revenue: less refunds, up to the cap.
OF_ORDERS: Final = ("ordered", "lines", "refunded", "revenue")
MEASURES: Final = (*OF_LISTS, *OF_ORDERS)
RATIOS: Final[Mapping[str, tuple[str, str]]] = {  # name -> hits, trials; "" is the session itself
    "clicks": ("clicked", "lists"),
    "orders": ("ordered", ""),
    "revenue": ("revenue", ""),
    "preference": ("preferred", ""),
    "full": ("filled", "lists"),
    "answered": ("answered", "lists"),
    "refunds": ("refunded", "lines"),
    "time": ("milliseconds", "lists"),
}
WITH_TRIALS: Final = {"lines": "ordered"}  # sessions with such a trial; all have a list


def _pairs(measures: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs whose products an interval needs, of the ratios of these measures."""
    return tuple(
        dict.fromkeys(
            pair
            for hits, trials in RATIOS.values()
            for pair in (((hits, hits), (hits, trials), (trials, trials)) if trials else ((hits, hits),))
            if hits in measures
        )
    )


PAIRS_OF_LISTS: Final = _pairs(OF_LISTS)
PAIRS_OF_ORDERS: Final = _pairs(OF_ORDERS)
PAIRS: Final = (*PAIRS_OF_LISTS, *PAIRS_OF_ORDERS)

# The lists of experiments; and those of one placement, as they would be without one. A list whose length
# nobody has noted counts as full.
OF_EXPERIMENTS: Final = """
    SELECT i.impression_id, i.session_id, i.shown_at, i.experiment, i.variant, i.item_ids, i.reasons,
           i.duration_us,
           coalesce(v.holdout, false)
               OR i.step = 'model' AND i.model = coalesce(v.model, i.model) AS answered,
           coalesce(v.holdout, false) OR cardinality(i.item_ids) >= coalesce(i.wanted, 0) AS filled,
           x.cap, x.currency
    FROM sessrec_impression i
    JOIN sessrec_experiment x ON x.name = i.experiment AND x.counted_from IS NOT NULL AND x.state <> 'waiting'
    LEFT JOIN sessrec_variant v ON v.experiment_id = x.id AND v.name = i.variant
    WHERE i.shown_at >= x.counted_from AND (x.stopped_at IS NULL OR i.shown_at < x.stopped_at)
"""
OF_PLACEMENT: Final = """
    SELECT i.impression_id, i.session_id, i.shown_at, '' AS experiment, '' AS variant, i.item_ids, i.reasons,
           i.duration_us, true AS answered, true AS filled,
           %(cap)s::numeric AS cap, %(currency)s::text AS currency
    FROM sessrec_impression i WHERE i.placement = %(placement)s
"""
# Only orders are joined, by the index of their sessions: Postgres expects one row of a WITH query that holds
# thousands, and would join it to another one by one. All the rest is grouping.
ENTERED: Final = """
WITH held AS MATERIALIZED (SELECT session_id FROM sessrec_quarantine WHERE released_at IS NULL),
shown AS MATERIALIZED (
    {lists} AND i.shown_at >= {before} AND i.shown_at < {after} AND NOT i.bot
      AND NOT EXISTS (SELECT FROM held WHERE held.session_id = i.session_id)
),
lists AS (
    SELECT impression_id, session_id, min(shown_at) AS shown_at, max(experiment) AS experiment,
           max(variant) AS variant, max(cap) AS cap, max(currency) AS currency,
           max(duration_us) AS duration_us, bool_or(answered) AS answered, bool_or(filled) AS filled,
           max(item_ids) AS item_ids, max(reasons) AS reasons,
           array_agg(DISTINCT clicked) FILTER (WHERE clicked IS NOT NULL) AS clicked
    FROM (
        SELECT shown.*, NULL AS clicked FROM shown
        UNION ALL
        SELECT impression_id, session_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, item_id
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
           coalesce(sum({preferred}) FILTER (WHERE variant = 'interleaved'), 0) AS preferred,
           coalesce(sum(duration_us), 0) / 1000.0 AS milliseconds
    FROM lists GROUP BY session_id, experiment
    HAVING min(shown_at) >= %(start)s AND min(shown_at) < %(end)s
),
bought AS (
    SELECT DISTINCT n.session_id, n.experiment, n.variant, n.cap, n.wanted, {line} AS reference
    FROM entered n JOIN sessrec_event p USING (session_id)
    WHERE p.name = 'purchase' AND NOT p.bot AND p.occurred_at >= n.first_at AND p.occurred_at < {after}
)
"""
LISTS: Final = """
SELECT experiment, variant, count(*)::int AS sessions, ARRAY[{sums}]::float8[] AS sums,
       ARRAY[{squares}]::float8[] AS products
FROM entered GROUP BY experiment, variant
"""
# {lines}: experiment, variant, buyer, cap and wanted currency of each line that counts.
ORDERS: Final = """
SELECT experiment, variant, ARRAY[{sums}]::float8[] AS sums, ARRAY[{squares}]::float8[] AS products
FROM (
    SELECT counted.experiment, counted.variant, 1 AS ordered, count(*) AS lines,
           count(*) FILTER (WHERE line.refunded > 0) AS refunded,
           greatest(0, least(max(cap), coalesce(sum(line.amount - line.refunded)
               FILTER (WHERE line.currency = wanted), 0))) AS revenue
    FROM ({lines}) AS counted JOIN sessrec_attribution line USING (reference)
    GROUP BY counted.experiment, counted.variant, counted.buyer
) AS sessions GROUP BY experiment, variant
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
        with_trials = int(self.sum(WITH_TRIALS[trials])) if trials in WITH_TRIALS else self.sessions
        return Ratio(self.sum(hits), self.sum(trials), self.sessions, products, with_trials)

    def _product(self, one: str, other: str) -> float:
        return self.products[PAIRS.index((one, other))]


def arms(experiment: Experiment) -> dict[str, Arm]:
    """Variant -> its sessions since the experiment is counted, as of the last roll-up."""
    named = {"experiment": experiment.name}
    orders = {(row.day, row.variant): row for row in DailyArmOrders.objects.filter(**named)}
    found: dict[str, Arm] = {}
    for row in DailyArm.objects.filter(**named):
        arm = _arm(row.sessions, row.sums, row.products, orders.get((row.day, row.variant)))
        found[row.variant] = found.get(row.variant, Arm()) + arm
    return found


def usual(placement: str, start: datetime, end: datetime, currency: str = "", cap: Any = None) -> Arm:
    """All sessions of a placement as one arm, from which an experiment is planned; times are aware."""
    values = {"placement": placement, "currency": currency, "cap": cap, "start": start, "end": end}
    with database.connection().cursor() as cursor:
        cursor.execute(USUAL, values)
        return next((Arm(*sums) for sums in cursor.fetchall()), Arm())


def _arm(
    sessions: int, sums: Sequence[float], products: Sequence[float], orders: DailyArmOrders | None
) -> Arm:
    ordered = orders.sums if orders else (0.0,) * len(OF_ORDERS)
    squares = orders.products if orders else (0.0,) * len(PAIRS_OF_ORDERS)
    return Arm(sessions, [*sums, *ordered], [*products, *squares])


def _entered(lists: str) -> str:
    return ENTERED.format(
        lists=lists,
        preferred=PREFERRED,
        line=LINE.format("p"),
        before=f"%(start)s - interval '{HOURS} hours'",
        after=f"%(end)s + interval '{2 * HOURS} hours'",
    )


def _summed(sql: str, measures: Sequence[str], pairs: Sequence[tuple[str, str]], lines: str = "") -> str:
    return sql.format(
        lines=lines,
        sums=", ".join(f"sum({measure})" for measure in measures),
        squares=", ".join(f"sum({one}::float8 * {other})" for one, other in pairs),
    )


OF_SESSIONS: Final = _summed(LISTS, OF_LISTS, PAIRS_OF_LISTS)
BOUGHT: Final = "SELECT *, session_id AS buyer FROM bought"
USUAL: Final = f"""
{_entered(OF_PLACEMENT)}
SELECT l.sessions, l.sums || coalesce(o.sums, array_fill(0::float8, ARRAY[{len(OF_ORDERS)}])),
       l.products || coalesce(o.products, array_fill(0::float8, ARRAY[{len(PAIRS_OF_ORDERS)}]))
FROM ({OF_SESSIONS}) AS l
LEFT JOIN ({_summed(ORDERS, OF_ORDERS, PAIRS_OF_ORDERS, BOUGHT)}) AS o ON true
"""

# One day's rows, for measuring.rollups: a session is the day's on which its first list was shown.
DAY: Final = f"""
{_entered(OF_EXPERIMENTS)},
counted AS (
    INSERT INTO sessrec_armline (day, experiment, variant, buyer, reference)
    SELECT %(day)s, experiment, variant, dense_rank() OVER (ORDER BY session_id), reference FROM bought
)
INSERT INTO sessrec_dailyarm (day, experiment, variant, sessions, sums, products)
SELECT %(day)s, arms.* FROM ({OF_SESSIONS}) AS arms
"""
KNOWN: Final = """
    SELECT known.*, x.cap, x.currency AS wanted
    FROM sessrec_armline known JOIN sessrec_experiment x ON x.name = known.experiment
    WHERE known.day = %(day)s
"""
ORDERS_OF_DAY: Final = f"""
INSERT INTO sessrec_dailyarmorders (day, experiment, variant, sums, products)
SELECT %(day)s, orders.* FROM ({_summed(ORDERS, OF_ORDERS, PAIRS_OF_ORDERS, KNOWN)}) AS orders
"""
# The days of sessions that lines of another day belong to, or lines that came back.
DAYS_OF_LINES: Final = """
SELECT day FROM sessrec_armline WHERE reference = ANY (%(references)s)
UNION
SELECT known.day FROM sessrec_attribution line JOIN sessrec_armline known USING (reference)
WHERE line.ordered_on = %(day)s
"""
