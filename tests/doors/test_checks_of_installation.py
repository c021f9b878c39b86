"""A project that leads no request, page or task to the app is a numbered check with a hint."""

import logging
import subprocess
import sys
import warnings

import pytest
from django.conf import settings
from django.test.utils import override_script_prefix
from django.urls import include, path, re_path
from psycopg import IsolationLevel

from django_sessrec.tasks import schedule
from tests.support.checks import GOOD, findings


def templates(*processors, backend="django.template.backends.django.DjangoTemplates"):
    return {"BACKEND": backend, "APP_DIRS": True, "OPTIONS": {"context_processors": list(processors)}}


REQUEST = "django.template.context_processors.request"


@pytest.mark.parametrize(
    ("engines", "told"),
    [
        ([templates()], True),
        ([templates("django.template.context_processors.debug")], True),
        ([{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}], True),
        ([templates(REQUEST)], False),
        ([templates(), templates(REQUEST) | {"NAME": "pages"}], False),
        ([], False),
    ],
)
def test_pages_whose_templates_do_not_get_the_request_are_told(engines, told):
    found = findings(SESSREC=GOOD, TEMPLATES=engines)
    assert ("sessrec.W028" in found) is told
    assert not told or REQUEST in found["sessrec.W028"].hint


ROUTES = [
    path("tea/<slug:slug>/", lambda request: None, name="tea"),
    re_path(r"^cup/(?P<sku>\w+)/$", lambda request: None, name="cup"),
    path("plain/", lambda request: None, name="plain"),
    path("<str:shop>/", include(([path("pot/<int:pk>/", lambda request: None, name="pot")], "pots"))),
    path("one/", lambda request, pk: None, {"pk": "1"}, name="one"),
]


@pytest.mark.parametrize(
    ("view", "argument", "hint"),
    [
        ("tea", "slug", None),
        ("tea", "pk", "'slug'"),
        ("cup", "sku", None),
        ("cup", "slug", "'sku'"),
        ("pots:pot", "pk", None),
        ("pots:pot", "shop", None),
        ("pots:pot", "id", "'pk', 'shop'"),
        ("one", "pk", None),
        ("plain", "pk", "none: name one"),
    ],
)
def test_a_tracked_view_needs_the_argument_that_is_named(view, argument, hint):
    urlconf = type("urls", (), {"urlpatterns": ROUTES})
    found = findings(SESSREC=GOOD | {"TRACKED_VIEWS": {view: argument}}, ROOT_URLCONF=urlconf)
    assert "sessrec.W013" not in found
    assert ("sessrec.W022" in found) is (hint is not None)
    assert hint is None or hint in found["sessrec.W022"].hint


SESSREC_URLS = path("sessrec/", include("django_sessrec.urls"))
EVERY_ADDRESS = re_path(r"^((?:[\w\-]+/)*)$", lambda request, address: None, name="page")  # as Wagtail's


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ([], "not included"),
        ([SESSREC_URLS], ""),
        ([SESSREC_URLS, EVERY_ADDRESS], ""),
        ([EVERY_ADDRESS, SESSREC_URLS], "/sessrec/events/ is answered by 'page'"),
        ([path("<path:address>", lambda request, address: None), SESSREC_URLS], "is answered by"),
        ([path("<slug:shop>/", include([SESSREC_URLS]))], ""),  # which shop, nobody can tell here
    ],
)
def test_urls_that_are_missing_or_that_another_route_answers_are_told(routes, told):
    found = findings(SESSREC=GOOD, ROOT_URLCONF=type("urls", (), {"urlpatterns": routes}))
    assert ("sessrec.W014" in found) is bool(told)
    if told:
        assert told in found["sessrec.W014"].msg
        assert "*urlpatterns]" in found["sessrec.W014"].hint


def test_urls_below_a_script_name_pass():
    with override_script_prefix("/shop/"):
        assert "sessrec.W014" not in findings(SESSREC=GOOD)


@pytest.mark.parametrize(("queue", "told"), [("train", False), ("heavy", True), (None, False)])
def test_a_schedule_made_before_the_queue_was_named_is_told(queue, told):
    beat = {"other": 7} | schedule()
    if queue is None:  # routed otherwise
        del beat["sessrec-train"]["options"]["queue"]
    found = findings(SESSREC=GOOD | ({"TRAIN_QUEUE": queue} if queue else {}), CELERY_BEAT_SCHEDULE=beat)
    assert ("sessrec.W043" in found) is told
    assert not told or "below the last line" in found["sessrec.W043"].hint


@pytest.mark.parametrize("disabled", [True, False])
def test_a_log_that_the_settings_silence_is_told(disabled, monkeypatch):
    monkeypatch.setattr(logging.getLogger("django_sessrec"), "disabled", disabled)
    assert ("sessrec.W047" in findings(SESSREC=GOOD)) is disabled


@pytest.mark.parametrize(
    ("level", "told"),
    [
        (None, False),
        (IsolationLevel.READ_COMMITTED, False),
        (IsolationLevel.REPEATABLE_READ, True),
        (IsolationLevel.SERIALIZABLE, True),
    ],
)
def test_transactions_that_see_no_withdrawal_are_told(level, told):
    options = {"isolation_level": level} if level else {}
    databases = {"default": {**settings.DATABASES["default"], "OPTIONS": options}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Django warns of an override of DATABASES
        found = findings(SESSREC=GOOD, DATABASES=databases)
    assert ("sessrec.W048" in found) is told
    assert not told or "a database of the events' own" in found["sessrec.W048"].hint


def test_times_without_a_zone_are_refused():
    assert "USE_TZ = True" in findings(SESSREC=GOOD, USE_TZ=False)["sessrec.E025"].hint


def test_missing_middleware():
    assert "end of MIDDLEWARE" in findings(SESSREC=GOOD, MIDDLEWARE=[])["sessrec.E012"].hint


def test_other_databases_are_refused():
    project = """
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django_sessrec"],
)
django.setup()
from django.core.management import call_command
call_command("check")
"""
    check = subprocess.run([sys.executable, "-c", project], capture_output=True, text=True, check=False)
    assert check.returncode
    assert "sessrec.E011" in check.stderr
    assert "the shop's own may stay where it is" in check.stderr
