"""The how-to pages' code does what the pages say."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from django_sessrec.catalogue import Catalogue
from django_sessrec.ids import uuid7
from django_sessrec.models import Event
from django_sessrec.privacy.erasure import erase
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.docs.project import NAMED, PRODUCTS, ROOT, TITLED, read
from tests.support.checks import findings
from tests.support.history import NOON, click, minutes, show

EVENTS = dict(TITLED.findall(read("docs/how-to/events.md")))
PRIVACY = dict(TITLED.findall(read("docs/how-to/privacy.md")))

CHANGES = re.compile(r'^```python[^\n]*\n((?:from [^\n]*\n\n)?SESSREC\[".*?)^```$', re.MULTILINE | re.DOTALL)

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


class ByName(DemoCatalogue):
    id_field = "name"
    sensitive = Catalogue.sensitive


def ordered(shop, session_id):
    products = [Product(pk=pk, name=f"tea {pk}") for pk in (42, 43)]
    lines = [SimpleNamespace(pk=9, product=each, quantity=2, price="9.90") for each in products]
    order = SimpleNamespace(
        pk=7,
        created_at=timezone.now() - timedelta(minutes=5),
        lines=SimpleNamespace(select_related=lambda _: lines),
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


def test_a_webhook_records_the_catalogues_id_and_not_the_key(shop, settings):
    settings.SESSREC = {**settings.SESSREC, "CATALOGUE": f"{__name__}.ByName"}
    shop.paid(ordered(shop, uuid7()))
    assert {event.item_id for event in Event.objects.all()} == {"tea 42", "tea 43"}


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


def test_the_query_of_variety_weighs_clicks_by_how_they_were_drawn(transactional_db):
    (sql,) = re.findall(r"^```sql\n(.*?)^```$", read("docs/how-to/variety.md"), re.MULTILINE | re.DOTALL)
    for propensity, is_clicked in ((0.5, True), (0.25, False), (0.25, False), (None, True)):
        session = uuid7(NOON)
        shown = show(session, NOON, ["1", "2"], propensities=[propensity, 1.0])
        if is_clicked:
            click(session, NOON + minutes(1), "1", shown)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.fetchall() == [("1", 0.2), ("2", 0.0)]


SETTINGS = [text for name, text in TITLED.findall(read("docs/tutorial.md")) if name == "project/settings.py"]
MODELS = """
SESSREC["MODELS"] = {
    "ranked": {"ESTIMATOR": "django_sessrec.neural.Ranked"},
    "neighbours": {"ESTIMATOR": "django_sessrec.recsys.TunedNeighbours", "EVERY_HOURS": 1},
}
SESSREC["PLACEMENTS"]["basket"] = {"LIMIT": 4}
"""


def settings_after(*snippets: str) -> dict[str, object]:
    """The tutorial's SESSREC, with what a reader pastes below it."""
    shop: dict[str, object] = {"INSTALLED_APPS": [], "MIDDLEWARE": []}
    for code in (*SETTINGS, *snippets):
        exec(code, shop)
    return shop["SESSREC"]


def errors(sessrec: dict[str, object]) -> set[str]:
    """The checks' errors, but for paths and templates of the reader's shop."""
    of_the_shop = {"sessrec.E006", "sessrec.E016"}
    return {id_ for id_ in findings(SESSREC=sessrec) if id_.startswith("sessrec.E")} - of_the_shop


@pytest.mark.parametrize(
    "page",
    [
        page.relative_to(ROOT)
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if CHANGES.search(page.read_text(encoding="utf-8"))
    ],
    ids=str,
)
def test_what_a_page_adds_to_the_settings_drops_no_placement_or_model(page):
    before = settings_after(MODELS)
    for snippet in CHANGES.findall(read(str(page))):
        after = settings_after(MODELS, snippet)
        for key in ("MODELS", "PLACEMENTS"):
            assert after[key].keys() >= before[key].keys() - {"ranked"}, snippet
        assert not errors(after), snippet


@pytest.mark.parametrize(
    ("page", "heading", "models"),
    [
        ("docs/how-to/templates.md", "## More placements", ""),
        ("docs/how-to/experiments.md", "## Declare one in the settings", MODELS),
    ],
)
def test_the_settings_of_a_page_pass_the_checks_after_the_tutorial(page, heading, models):
    section = read(page).partition(heading)[2]
    assert not errors(settings_after(models, CHANGES.search(section)[1]))


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
