"""The how-to pages' code does what the pages say."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from django_sessrec.ids import uuid7
from django_sessrec.models import Event
from django_sessrec.privacy.erasure import erase
from tests.docs.project import NAMED, PRODUCTS, TITLED, read

EVENTS = dict(TITLED.findall(read("docs/how-to/events.md")))
PRIVACY = dict(TITLED.findall(read("docs/how-to/privacy.md")))

pytestmark = pytest.mark.django_db(transaction=True)


def defined_in(*files: str) -> SimpleNamespace:
    """What a page's files define."""
    names: dict[str, object] = {}
    for code in files:
        exec(code, names)
    return SimpleNamespace(**names)


@pytest.fixture
def shop():
    return defined_in(EVENTS["shop/checkout.py"], EVENTS["shop/webhook.py"], EVENTS["shop/till.py"])


def ordered(shop, session_id):
    lines = [SimpleNamespace(pk=pk, product_id=pk, quantity=2, price="9.90") for pk in (42, 43)]
    order = SimpleNamespace(
        pk=7,
        created_at=timezone.now() - timedelta(minutes=5),
        lines=SimpleNamespace(all=lambda: lines),
        save=lambda: None,
    )
    shop.begin(SimpleNamespace(sessrec=SimpleNamespace(session_id=session_id)), order)
    return order


def test_a_webhook_that_calls_twice_records_each_line_once(shop):
    order = ordered(shop, uuid7())
    shop.paid(order)
    shop.paid(order)
    events = Event.objects.order_by("item_id")
    recorded = [(event.name, event.item_id, event.quantity, str(event.price)) for event in events]
    assert recorded == [("purchase", "42", 2, "9.90"), ("purchase", "43", 2, "9.90")]
    assert {event.session_id for event in events} == {order.session_id}


def test_without_consent_or_after_a_withdrawal_nothing_is_recorded(shop):
    shop.paid(ordered(shop, None))
    withdrawn = ordered(shop, uuid7())
    erase(withdrawn.session_id)
    shop.paid(withdrawn)
    assert not Event.objects.exists()


def test_a_till_names_its_sessions_itself(shop):
    lines = [SimpleNamespace(sku="42")]
    shop.sold(SimpleNamespace(number=3, printed_at=timezone.now(), lines=lines))
    event = Event.objects.get()
    assert (event.item_id, event.source) == ("42", "till")


def test_the_banners_answers_become_consent(rf):
    consent = defined_in(PRIVACY["shop/consent.py"]).consent
    answers = {}
    for answer in ("yes", "no", ""):
        request = rf.get("/")
        request.COOKIES["consent"] = answer
        answers[answer] = consent(request)
    assert answers == {"yes": "opt-in", "no": "none", "": None}


SQLITE = """
from project.settings import *

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
SILENCED_SYSTEM_CHECKS = ["sessrec.E011"]
"""

EXAMINE = """
import django
django.setup()
from django_sessrec.operations.examination import examine
from django_sessrec.tasks import broker

for each in examine(broker()):
    print(each.level, each.message)
"""


def test_the_pages_tests_pass_in_a_new_shop(project):
    project.add_printed(NAMED.findall(read("README.md")))
    project.add_printed(TITLED.findall(read("docs/how-to/test-your-shop.md")))
    project.manage("makemigrations", "shop")
    assert "Ran 3 tests" in project.manage("test", "shop")

    project.add("project/sqlite.py", SQLITE)
    told = project.run("manage.py", "test", "shop", DJANGO_SETTINGS_MODULE="project.sqlite")
    assert "Ran 3 tests" in told
    assert told.count("neither reads nor stores anything there") == 1, told
    assert "Traceback" not in told
    told = project.run("-c", EXAMINE, DJANGO_SETTINGS_MODULE="project.sqlite")
    assert told.count("neither reads nor stores anything there") == 1, "and not once for each part"


RULED = """
from django.test import Client
from shop.models import Product

answer = Client().get("/sessrec/recommendations/?placement=product_page&item_id=1&limit=4").json()
shown = Product.objects.filter(pk__in=[item["item_id"] for item in answer["items"]])
assert {product.category for product in shown} == {"black"}, answer
prices = [float(item["price"]) for item in answer["items"]]
assert len(prices) == 4 and prices == sorted(prices), prices
"""


def test_the_shops_own_rules_change_a_list(project):
    project.add_printed(NAMED.findall(read("README.md")))
    project.add_printed(TITLED.findall(read("docs/how-to/rules.md")))
    project.add("shop/recommendations.py", 'ProductCatalogue.price_field = "price"\n')
    project.manage("makemigrations", "shop")
    project.manage("migrate")
    project.shell(PRODUCTS)
    project.shell(RULED)
