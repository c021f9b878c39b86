"""A truth that is planted and found: how often lists are clicked, what a variant brings, and each cent.

1,500 sessions, of which those of one model click more often and those of one variant buy more often; some of
what was bought comes back on day 20. Drawn with one seed, so that chance is the same each time.
"""

import csv
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.core.files.storage import storages
from django.db import connection
from pyarrow import parquet

from django_sessrec.capture import partitions, store
from django_sessrec.ids import order_line_id, time_of, uuid7
from django_sessrec.measuring import bi_export
from django_sessrec.measuring.arms import arms
from django_sessrec.measuring.days import ONE, day_of, last_days
from django_sessrec.measuring.export import csv_lines
from django_sessrec.measuring.kpis import figures
from django_sessrec.measuring.report import report
from django_sessrec.measuring.rollups import roll_up
from django_sessrec.measuring.verdicts import Verdict
from django_sessrec.models import Event, Impression
from django_sessrec.operations.experiments import judgement
from tests.support.experiments import a_running_one
from tests.support.history import minutes

pytestmark = pytest.mark.django_db

SESSIONS = 1_500
CTR = {"neighbours": 0.3, "itemknn": 0.2}
ORDERS = {"old": 0.1, "new": 0.2}  # of a session
REFUNDED = 0.2  # of the orders, half of the amount each, on day 20
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=24)
START, END = last_days(30)


class Shop:
    """What the shop itself knows of its orders."""

    def __init__(self):
        self.draw = np.random.default_rng(20)
        self.books = Counter()  # currency -> net of refunds
        self.euros = Counter()  # variant -> of its sessions
        self.rows = []

    def visit(self, number):
        """One session: a list on the home page, one of the experiment's, perhaps an order."""
        at = MIDNIGHT + minutes(number * 2 * 24 * 60 / SESSIONS)
        session = uuid7(at)
        model, variant = ("neighbours", "itemknn")[number % 2], ("old", "new")[number // 2 % 2]
        shown = self.show(session, at, placement="home", model=model)
        if self.draw.random() < CTR[model]:
            self.tell(session, at + minutes(1), "select_item", "1", impression_id=shown)
        first = {"old": "itemknn", "new": "neighbours"}[variant]
        self.show(
            session,
            at + minutes(2),
            placement="product_page",
            model=first,
            experiment="Does it pay?",
            variant=variant,
        )
        if self.draw.random() < ORDERS[variant]:
            self.order(session, at + minutes(3), str(number), variant)

    def order(self, session, at, number, variant):
        currency = "EUR" if self.draw.random() < 0.9 else "CHF"
        amount = Decimal(int(self.draw.integers(500, 9_999))) / 100
        line = {"price": amount, "currency": currency}
        self.tell(session, at, "purchase", "1", order=number, **line)
        if self.draw.random() < REFUNDED:
            back = round(amount / 2, 2)
            self.tell(session, at + timedelta(days=20), "refund", "1", order=number, **line | {"price": back})
            amount -= back
        self.books[currency] += amount
        if currency == "EUR":
            self.euros[variant] += amount

    def show(self, session, at, **columns):
        impression = Impression(
            impression_id=uuid7(at),
            session_id=session,
            item_ids=["1", "2"],
            step="model",
            wanted=2,
            **columns,
        )
        impression.shown_at = time_of(impression.pk)
        self.rows.append(impression)
        return impression.pk

    def tell(self, session, at, name, item_id, *, order=None, **columns):
        event_id = order_line_id(order, item_id, at) if order else uuid7(at)
        self.rows.append(
            Event(
                event_id=event_id,
                occurred_at=time_of(event_id),
                session_id=session,
                name=name,
                item_id=item_id,
                **columns,
            )
        )


@pytest.fixture
def shop(settings):
    shop = Shop()
    experiment = a_running_one(MIDNIGHT - minutes(1), tuned_for=SESSIONS)
    for number in range(SESSIONS):
        shop.visit(number)
    day = day_of(MIDNIGHT)
    partitions.ensure(day - ONE, day + 25 * ONE)
    events = [row for row in shop.rows if isinstance(row, Event)]
    impressions = [row for row in shop.rows if isinstance(row, Impression)]
    assert store.write(events, impressions).stored == len(shop.rows)
    for days in (0, 1, 2, 3, 20, 21, 22, 23):
        roll_up(day + days * ONE)
    shop.experiment = experiment
    settings.STORAGES = {
        **settings.STORAGES,
        bi_export.STORAGE: {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    return shop


def test_the_planted_truth_lies_in_the_cockpits_intervals(shop):
    by_model = figures(START, END, ("placement", "model"))
    for model, planted in CTR.items():
        low, high = by_model["home", model].rate("ctr").interval
        assert low < planted < high
        assert high - low < 0.08
    judged = judgement(shop.experiment)
    assert (judged.verdict, judged.decides[0]) == (Verdict.BETTER, "new")
    orders = judged.differences["new"]["orders"]
    assert orders.low < ORDERS["new"] - ORDERS["old"] < orders.high
    price = (5 + 99.99) / 2 * (1 - REFUNDED / 2) * 0.9  # in euros
    sales = judged.differences["new"]["revenue"]
    assert sales.low < price * (ORDERS["new"] - ORDERS["old"]) < sales.high
    refunds = arms(shop.experiment)["new"].ratio("refunds").value
    assert refunds == pytest.approx(REFUNDED, abs=0.08)


def test_report_view_files_and_arms_are_the_shops_orders_to_the_cent(shop):
    assert set(shop.books) == {"EUR", "CHF"}
    money = report(START, END).whole.now.money
    assert {currency: each.total for currency, each in money.items()} == shop.books
    with connection.cursor() as cursor:
        cursor.execute("SELECT currency, sum(total), sum(direct) FROM sessrec_bi_sales GROUP BY currency")
        view = {currency: sums for currency, *sums in cursor.fetchall()}
    assert view == {currency: [each.total, each.direct] for currency, each in money.items()}
    csv_sums, parquet_sums = Counter(), Counter()
    for name in bi_export.export(START, END):
        if not name.startswith("sessrec_bi_sales"):
            continue
        content = storages[bi_export.STORAGE].open(name).read()
        if name.endswith(".csv"):
            for row in csv.DictReader(io.StringIO(content.decode())):
                csv_sums[row["currency"]] += Decimal(row["total"])
        else:
            for row in parquet.read_table(io.BytesIO(content)).to_pylist():
                parquet_sums[row["currency"]] += row["total"]
    assert csv_sums == parquet_sums == shop.books
    groups = ("day", "placement", "model", "run", "step", "experiment", "variant")
    page = csv.DictReader(csv_lines(groups, figures(START, END, groups)))
    rows = list(page)
    assert sum(Decimal(row["total_EUR"]) for row in rows) == shop.books["EUR"]
    assert sum(Decimal(row["total_CHF"]) for row in rows) == shop.books["CHF"]
    found = arms(shop.experiment)
    assert {name: round(Decimal(arm.sum("revenue")), 2) for name, arm in found.items()} == shop.euros
