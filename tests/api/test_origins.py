"""Other origins of the same shop, and its app."""

import pytest
from django.test import Client

from django_sessrec.models import Event
from tests.support import visits
from tests.support.api import an_event, send

pytestmark = pytest.mark.django_db(transaction=True)

WWW = {"Origin": "https://www.example.com", "Sec-Fetch-Site": "same-site"}
APP = {"Origin": "shop-app://android"}
OKHTTP = {"User-Agent": "okhttp/4.12.0"}
FIREFOX = {"User-Agent": visits.FIREFOX}


@pytest.fixture
def trusted(settings):
    settings.SESSREC = settings.SESSREC | {
        "TRUSTED_ORIGINS": ["https://www.example.com", "shop-app://android"]
    }


def visitor(headers):
    client = Client(headers=headers)
    client.cookies["consent"] = "yes"
    return client


@pytest.mark.usefixtures("trusted")
def test_a_trusted_origins_script_may_record_and_read_the_answer():
    answer = send(visitor(FIREFOX | WWW), an_event())
    assert answer.json()["accepted"] == 1
    assert answer["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer["Vary"]


@pytest.mark.usefixtures("trusted")
def test_the_browsers_question_before_is_answered():
    answer = visitor(FIREFOX | WWW | {"Access-Control-Request-Method": "POST"}).options("/sessrec/events/")
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Headers"] == "Content-Type"
    assert "POST" in answer["Access-Control-Allow-Methods"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://www.example.com", "https://www.example.com.evil.example", "null"],
)
def test_any_other_origin_stays_outside(origin):
    answer = send(visitor(FIREFOX | {"Origin": origin, "Sec-Fetch-Site": "cross-site"}), an_event())
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer


def test_without_trusted_origins_nothing_is_shared():
    answer = visitor(FIREFOX | WWW).get("/sessrec/recommendations/?placement=product_page")
    assert answer.status_code == 403
    assert not {"Access-Control-Allow-Origin", "Vary"} & set(answer.headers)


@pytest.mark.usefixtures("trusted")
def test_the_shops_app_is_nobodys_bot_by_its_library():
    assert send(visitor(OKHTTP | APP), an_event()).json()["accepted"] == 1
    assert not Event.objects.get().bot


@pytest.mark.usefixtures("trusted")
def test_a_library_on_a_trusted_websites_behalf_stays_a_bot():
    send(visitor(OKHTTP | WWW), an_event())
    assert Event.objects.get().bot


def test_an_app_that_nobody_trusts_stays_outside():
    assert send(visitor(OKHTTP | APP), an_event()).status_code == 403
