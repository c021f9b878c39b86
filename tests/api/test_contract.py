"""What the schema says is what clients get: no server error, no answer that it does not tell of."""

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

from tests.support.api import BROWSER

PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SHOPS_OWN_PAGE = {**BROWSER, "Cookie": "consent=yes"}
ELSEWHERE = {**BROWSER, "Sec-Fetch-Site": "cross-site"}

api = schemathesis.openapi.from_wsgi("/sessrec/schema/", get_wsgi_application())


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
