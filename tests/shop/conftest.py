"""The example shop as it is run, with its own settings, in the tests' database."""

from pathlib import Path

import pytest
from django.core.management import call_command

import example_shop.shop
from example_shop import settings as shop_settings
from example_shop.shop.traffic import BROWSER

TEMPLATES = Path(example_shop.shop.__file__).with_name("templates")


@pytest.fixture(autouse=True)
def shop(settings, tmp_path):
    """Its middleware, addresses, templates and SESSREC; models trained here go with the test."""
    settings.MIDDLEWARE = shop_settings.MIDDLEWARE
    settings.ROOT_URLCONF = shop_settings.ROOT_URLCONF
    settings.TEMPLATES = [{**shop_settings.TEMPLATES[0], "DIRS": [TEMPLATES]}]
    settings.SESSREC = {**shop_settings.SESSREC, "ARTIFACTS": tmp_path}


@pytest.fixture
def goods(db):
    """The whole range, in the database."""
    call_command("fill_shop", verbosity=0)


@pytest.fixture
def visitor(client):
    """A browser that posts from the shop's own pages."""
    client.defaults["HTTP_SEC_FETCH_SITE"] = "same-origin"
    client.defaults["HTTP_USER_AGENT"] = BROWSER
    return client
