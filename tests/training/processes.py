"""Python processes beside the tests, on the tests' own database."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*arguments, cwd, **environment):
    """Run `python *arguments` in `cwd`; its output goes to the file `output` there. Killed at the end."""
    database = settings.DATABASES["default"]
    url = f"postgresql://{database['USER']}@/{database['NAME']}?host={quote(database['HOST'])}"
    variables = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(CHECKOUT),
        **environment,
    }
    with (cwd / "output").open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(condition, child=None, seconds=60):
    """What `condition` returns, once it is true; fails with the child's last words."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        alive = child is None or child.poll() is None
        assert alive, "the process has ended"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
