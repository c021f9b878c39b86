"""The tutorial's code and commands, as printed, make a new project recommend, import, train and schedule."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.docs.project import NAMED, PRODUCTS, TITLED, VISIT, Project, printed_commands, read

ORDER = """
from decimal import Decimal
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory
from django_sessrec.middleware import SessrecMiddleware
from django_sessrec.models import Event
from shop.models import Product
from shop.orders import add_to_basket, place_order

def order(request):
    product = Product.objects.get(pk=3)
    add_to_basket(request, product, 1)
    with transaction.atomic():
        place_order(request, "A-1", [(product, 2)])
    return HttpResponse()

request = RequestFactory(headers={"user-agent": "Mozilla/5.0 Firefox/140.0"}).post("/order/")
request.COOKIES["consent"] = "yes"
SessrecMiddleware(order)(request)
events = Event.objects.exclude(name="view_item").order_by("name")
assert [(event.name, event.item_id, event.quantity, event.price) for event in events] == [
    ("add_to_cart", "3", 1, Decimal(3)), ("purchase", "3", 2, Decimal(3)),
], list(events.values())
"""
TRAIN_NOW = """
from django_sessrec.tasks import queue_training

queue_training("neighbours", "admin")
"""
TRAINED = """
import sys
import time
from django_sessrec.models import Promotion, TrainingRun

until = time.monotonic() + 120
while TrainingRun.objects.exclude(state="running").count() < 2:
    if time.monotonic() > until:
        sys.exit("no worker took the training")
    time.sleep(0.2)
states = [(run.trigger, run.state) for run in TrainingRun.objects.order_by("pk")]
assert [trigger for trigger, _ in states] == ["command", "admin"], states
assert Promotion.objects.exists()
"""
SERVED = """
from django.test import Client

client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
client.cookies["consent"] = "yes"
client.get("/product/1/")
answer = client.get("/sessrec/recommendations/?placement=product_page&item_id=3").json()
assert (answer["step"], answer["model"]) == ("model", "neighbours"), answer
"""


# A click past RETENTION_DAYS.
AGED = """
from datetime import timedelta
from django.utils import timezone
from django_sessrec.capture.partitions import ensure
from django_sessrec.ids import uuid7
from django_sessrec.models import Event

old = timezone.now() - timedelta(days=100)
ensure(old.date(), old.date())
Event.objects.create(
    event_id=uuid7(old), occurred_at=old, session_id=uuid7(old), name="view_item", item_id="1"
)
assert Event.objects.filter(occurred_at=old).exists()
"""
KEPT_UP = """
from datetime import timedelta
from django.utils import timezone
from django_sessrec.models import DailyLists, Event, Promotion

assert Event.objects.exists()
assert not Event.objects.filter(occurred_at__lt=timezone.now() - timedelta(days=91)).exists()
assert DailyLists.objects.exists(), "no figures"
assert Promotion.objects.exists(), "no model"
"""


@pytest.fixture
def project(tmp_path, project_database, broker_url) -> Project:
    return Project(tmp_path, project_database, BROKER_URL=broker_url)


def clicks() -> str:
    """A shop's older clicks: 200 sessions of four neighbouring teas, during the last days."""
    start = datetime.now(UTC) - timedelta(days=5)
    rows = ["visitor,sku,clicked_at"]
    for session in range(200):
        for click in range(4):
            at = start + timedelta(minutes=30 * session, seconds=20 * click)
            rows.append(f"visitor-{session},{1 + (session + click) % 30},{at.isoformat()}")
    return "\n".join(rows)


def test_the_tutorial_makes_a_shop_that_recommends_and_trains(project):
    text = read("docs/tutorial.md")
    project.add_printed(TITLED.findall(text))
    project.add("clicks.csv", clicks())
    manage = printed_commands(text, "python manage.py")
    assert [command[0] for command in manage] == [
        "check",
        "migrate",
        "sessrec_import",
        "sessrec_train",
        "sessrec_doctor",
    ]
    check, migrate, sessrec_import, sessrec_train, _ = manage
    project.manage("makemigrations", "shop")
    project.manage(*check, "--fail-level", "WARNING")
    project.manage(*migrate)
    project.shell(PRODUCTS)
    project.shell(VISIT)
    project.shell(ORDER)
    project.manage(*sessrec_import)
    project.manage(*sessrec_train)
    project.shell(SERVED)

    worker, train_worker, beat = printed_commands(text, "celery")
    assert beat == ["-A", "project", "beat"]
    assert "queue" in project.shell("from project import celery_app; print(celery_app.conf.beat_schedule)")
    with project.running("celery", *worker), project.running("celery", *train_worker):
        project.shell(TRAIN_NOW)
        project.shell(TRAINED)
        told = ""
        for _each in range(60):
            told = project.run("-m", "celery", "-A", "project", "inspect", "ping", "--timeout", "5")
            if "shop@" in told and "train@" in told:
                break
    assert "shop@" in told
    assert "train@" in told
    assert "DuplicateNodename" not in told


def test_the_commands_of_a_timer_do_the_schedules_work_without_celery(project):
    project.add_printed(NAMED.findall(read("README.md")))
    project.add("clicks.csv", clicks())
    project.manage("makemigrations", "shop")
    project.manage("migrate")
    project.shell(PRODUCTS)
    project.shell(VISIT)
    project.shell(AGED)
    (sessrec_import,) = printed_commands(read("docs/tutorial.md"), "python manage.py")[2:3]
    project.manage(*sessrec_import)
    commands = re.findall(r"/python manage\.py (\w+)$", read("docs/tutorial.md"), re.MULTILINE)
    assert commands == ["sessrec_rollup", "sessrec_prune", "sessrec_train"]
    for command in commands:
        project.manage(command)
    project.shell(KEPT_UP)
