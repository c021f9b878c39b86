"""The shop's dict over the declared defaults."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory

from django_sessrec.capture import cookie, event
from django_sessrec.conf import INHERITED, SETTINGS, Settings, sessrec_settings
from django_sessrec.ids import uuid7


@pytest.fixture
def sessrec(settings):
    """Give SESSREC further keys."""

    def give(**keys):
        settings.SESSREC = settings.SESSREC | keys

    return give


def test_a_setting_is_its_default_until_the_shop_gives_it(sessrec):
    assert Settings.RETENTION_DAYS.default == sessrec_settings.RETENTION_DAYS
    sessrec(RETENTION_DAYS=None)
    assert sessrec_settings.RETENTION_DAYS is None


@pytest.mark.parametrize("name", SETTINGS)
def test_a_default_passes_its_own_check(name):
    setting = SETTINGS[name]
    assert setting.takes(setting.default)
    assert setting.in_range(setting.default)


def test_an_unknown_setting_is_no_attribute():
    with pytest.raises(AttributeError):
        sessrec_settings.RETENTION_DAY  # noqa: B018


def test_a_model_takes_what_it_does_not_say_from_the_setting_of_all_models(sessrec):
    models = {"fast": {"ESTIMATOR": "x.Y", "MIN_SESSIONS": 7}, "slow": {"ESTIMATOR": "x.Y"}}
    sessrec(MODELS=models, MIN_SESSIONS=20, GATE_TOLERANCE=0.5)
    assert sessrec_settings.model("fast")["MIN_SESSIONS"] == 7
    assert sessrec_settings.model("slow")["MIN_SESSIONS"] == 20
    merged = {"EVENT_WEIGHTS"}  # with the defaults of its keys
    same = [key for key in INHERITED if key not in merged]
    assert all(sessrec_settings.model("slow")[key] == getattr(sessrec_settings, key) for key in same)


def test_keys_of_the_apps_are_merged_and_keys_of_the_shops_replace(sessrec):
    sessrec(
        QUARANTINE={"MAX_SESSION_HOURS": 9},
        MODELS={"mine": {"ESTIMATOR": "x.Y"}},
        PLACEMENTS={"home": {"LIMIT": 4}},
    )
    assert sessrec_settings.quarantine["MAX_SESSION_HOURS"] == 9
    assert sessrec_settings.quarantine["MIN_CRAWLED_ITEMS"] == 100
    assert sessrec_settings.model("mine")["EVERY_HOURS"] == 24
    assert sessrec_settings.placement("home")["TEMPLATE"] == "sessrec/recommendations.html"
    with pytest.raises(ImproperlyConfigured, match="known: mine"):
        sessrec_settings.model("neighbours")
    with pytest.raises(ImproperlyConfigured, match="known: home"):
        sessrec_settings.placement("product_page")


@pytest.mark.parametrize(
    ("own", "framework", "expected"),
    [(None, {}, None), (None, {"NUM_PROXIES": 2}, 2), (1, {"NUM_PROXIES": 2}, 1), (0, {"NUM_PROXIES": 2}, 0)],
)
def test_proxies_are_counted_by_the_apps_setting_else_by_rest_frameworks(
    settings, sessrec, own, framework, expected
):
    settings.REST_FRAMEWORK = framework
    sessrec(NUM_PROXIES=own)
    assert sessrec_settings.num_proxies == expected


@pytest.mark.parametrize(
    ("keys", "https", "secure", "same_site"),
    [
        ({}, False, False, "Lax"),
        ({}, True, True, "Lax"),
        ({"COOKIE_SECURE": True}, False, True, "Lax"),
        ({"COOKIE_SECURE": False, "COOKIE_SAMESITE": "Strict"}, True, False, "Strict"),
        ({"COOKIE_SAMESITE": "None"}, False, True, "None"),  # browsers refuse it otherwise
    ],
)
def test_the_cookies_attributes(sessrec, keys, https, secure, same_site):
    sessrec(**keys)
    request, response = RequestFactory().get("/", secure=https), HttpResponse()
    cookie.write(request, response, uuid7())
    cookie.switch_off(request, response)
    for name in ("sessrec", "sessrec_off"):
        assert bool(response.cookies[name]["secure"]) == secure
        assert response.cookies[name]["samesite"] == same_site


def test_a_price_without_currency_is_in_the_shops(sessrec):
    sessrec(CURRENCY="CHF")
    given = {"session_id": uuid4(), "item_id": "1"}
    assert event.make("purchase", price=3, **given).currency == "CHF"
    assert event.make("purchase", price=3, currency="EUR", **given).currency == "EUR"
    assert event.make("view_item", **given).currency == ""


@pytest.mark.parametrize(
    "module",
    [
        "CELERY_BEAT_SCHEDULE = schedule()\nSESSREC = {'COOKIE_NAME': 'visit'}\n",
        (
            "SESSREC = {'COOKIE_NAME': 'early'}\nCELERY_BEAT_SCHEDULE = schedule()\n"
            "SESSREC = {**SESSREC, 'COOKIE_NAME': 'visit'}\n"
        ),
        "SESSREC = {'COOKIE_NAME': 'early'}\nCELERY_BEAT_SCHEDULE = schedule()\nfrom local import *\n",
    ],
)
def test_settings_that_ask_the_app_before_its_dict_is_final_are_read_all_the_same(tmp_path, module):
    """The tutorial's CELERY_BEAT_SCHEDULE = schedule() may stand above SESSREC, or above what changes it."""
    (tmp_path / "early.py").write_text(f"from django_sessrec.tasks import schedule\n{module}")
    (tmp_path / "local.py").write_text("SESSREC = {'COOKIE_NAME': 'visit'}\n")
    asks = (
        "import django; django.setup();"
        "from django_sessrec.conf import sessrec_settings; print(sessrec_settings.COOKIE_NAME)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asks],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "early", "PYTHONPATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "visit"
