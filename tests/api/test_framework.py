"""The API is the same whatever the shop has set for its own REST views."""

import json

import pytest

from tests.support.processes import CHECKOUT, process

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = {
    "none, as in the tutorial": None,
    **{
        each: {"DEFAULT_VERSIONING_CLASS": f"rest_framework.versioning.{each}", "ALLOWED_VERSIONS": ["v1"]}
        for each in (
            "NamespaceVersioning",
            "URLPathVersioning",
            "QueryParameterVersioning",
            "AcceptHeaderVersioning",
            "HostNameVersioning",
        )
    },
    "only who is signed in": {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]},
    "pages and filters": {
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": 2,
        "DEFAULT_METADATA_CLASS": None,
        "UNAUTHENTICATED_USER": None,
        "NON_FIELD_ERRORS_KEY": "errors",
    },
}
WALK = """
import json
import django
django.setup()
from django.test import Client
from django_sessrec.ids import uuid7
browser = Client(
    headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
             "sec-fetch-site": "same-origin", "host": "localhost"},
    raise_request_exception=False,
)
browser.cookies["consent"] = "yes"
event = {"event_id": str(uuid7()), "event": "view_item", "items": [{"item_id": "7"}]}
answers = {"events": browser.post("/sessrec/events/", {"events": [event]}, content_type="application/json")}
for address in (
    "recommendations/?placement=product_page", "slot/product_page/", "my-data/", "my-visit/", "schema/",
    "why/",
):
    answers[address] = browser.get(f"/sessrec/{address}")
answers["unknown placement"] = browser.get("/sessrec/recommendations/?placement=no")
told = {name: [answer.status_code, answer.get("content-type")] for name, answer in answers.items()}
print(json.dumps(told))
"""
EXPECTED = {
    "events": [202, "application/json"],
    "recommendations/?placement=product_page": [200, "application/json"],
    "slot/product_page/": [200, "text/html; charset=utf-8"],
    "my-data/": [200, "application/json"],
    "my-visit/": [200, "text/html; charset=utf-8"],
    "schema/": [200, "application/vnd.oai.openapi; charset=utf-8"],
    "why/": [200, "text/html; charset=utf-8"],
    "unknown placement": [404, "application/problem+json"],
}


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_the_shops_own_rest_settings_change_nothing(tmp_path, given):
    (tmp_path / "shop_settings.py").write_text(
        "from tests.settings import *\n"
        "INSTALLED_APPS = [app for app in INSTALLED_APPS if app != 'drf_spectacular']\n"
        + (f"REST_FRAMEWORK = {given!r}\n" if given is not None else "del REST_FRAMEWORK\n")
    )
    with process(
        "-c", WALK, cwd=tmp_path, DJANGO_SETTINGS_MODULE="shop_settings", PYTHONPATH=f"{tmp_path}:{CHECKOUT}"
    ) as walk:
        assert walk.wait(300) == 0, (tmp_path / "output").read_text()
    assert json.loads((tmp_path / "output").read_text().splitlines()[-1]) == EXPECTED
