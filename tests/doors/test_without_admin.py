"""A shop that does not install Django's admin."""

import subprocess
import sys

RENDER = """
import django
from django.conf import settings
from benchmarks import one_page_shop

settings.configure(**one_page_shop.settings({"ENGINE": "django.db.backends.postgresql"}))
django.setup()
from django.template import engines
print(engines["django"].from_string("{% load sessrec %}{% sessrec_scripts %}templates work").render({}))
"""


def test_its_templates_work():
    done = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "templates work", done.stderr
