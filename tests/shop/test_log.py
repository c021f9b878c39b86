"""What goes wrong in the shop stands in its log."""

import os
import subprocess
import sys

import pytest

from example_shop.stack.folders import CHECKOUT

PROGRAM = """
import logging
import django
from django.test import Client
django.setup()
logging.getLogger("django_sessrec").warning("SESSREC['CONSENT'] failed")
print(Client(raise_request_exception=False).get("/").status_code)
"""


@pytest.mark.parametrize("debug", ["", "1"], ids=["usual", "DEBUG"])
def test_what_the_app_warns_of_and_a_page_that_failed_are_logged_once(tmp_path, debug):
    nowhere = f"postgresql://sessrec@/sessrec?host={tmp_path}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "DATABASE_URL": nowhere,
            "SESSREC_STATE": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "example_shop.settings",
            "SHOP_DEBUG": debug,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["500"]
    assert done.stderr.count("SESSREC['CONSENT'] failed") == 1
    assert done.stderr.count("Internal Server Error: /") == 1
    assert "OperationalError" in done.stderr
