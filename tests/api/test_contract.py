"""What the schema says is what clients get: no server error, no answer that it does not tell of."""

from datetime import UTC, datetime

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from django_sessrec.capture import cookie
from django_sessrec.experiment_models import EMPTY, HOLDOUT
from django_sessrec.ids import uuid7
from tests.demo.recommendations import DemoCatalogue
from tests.support.api import BROWSER
from tests.support.history import show

PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SHOPS_OWN_PAGE = {**BROWSER, "Cookie": "consent=yes"}
ELSEWHERE = {**BROWSER, "Sec-Fetch-Site": "cross-site"}

api = schemathesis.openapi.from_wsgi("/sessrec/schema/", get_wsgi_application())


class Plain(DemoCatalogue):
    """Products without a picture, some without a price."""

    def describe(self, item, request=None):
        price = 9.5 if item.pk % 2 else None
        return {**super().describe(item, request), "image": None, "price": price}


@pytest.mark.django_db(transaction=True)
def test_products_without_picture_or_price_are_what_the_schema_says(products, settings):
    settings.SESSREC = settings.SESSREC | {"CATALOGUE": "tests.api.test_contract.Plain"}
    case = api["/sessrec/recommendations/"]["GET"].Case(query={"placement": "product_page"})
    answer = case.call_and_validate(headers=SHOPS_OWN_PAGE, checks=PROMISES)
    assert {item["price"] for item in answer.json()["items"]} == {9.5, None}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", [HOLDOUT, EMPTY])
def test_an_experiments_empty_list_is_what_the_schema_says(step):
    session_id = uuid7()
    show(session_id, datetime.now(UTC), [], step=step)
    case = api["/sessrec/my-data/"]["GET"].Case(cookies={"sessrec": cookie.text_of(session_id)})
    answer = case.call_and_validate(headers=BROWSER, checks=PROMISES)
    assert [each["step"] for each in answer.json()["impressions"]] == [step]


@pytest.fixture
def unthrottled(settings, products):
    """A shop whose API answers as often as it is asked."""
    rates = {"THROTTLE_EVENTS": "100000/min", "THROTTLE_RECOMMENDATIONS": "100000/min"}
    settings.SESSREC = settings.SESSREC | rates


@pytest.mark.parametrize("headers", [SHOPS_OWN_PAGE, ELSEWHERE], ids=["own page", "another site"])
@pytest.mark.django_db(transaction=True)
@api.parametrize()
@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_answer_is_one_that_the_schema_tells_of(case, headers, unthrottled):
    case.call_and_validate(headers=headers, checks=PROMISES)
