"""Commands as an operator calls them."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.fixture
def run():
    """Call a command; returns what it prints on stdout."""

    def call(*arguments, **options):
        out = StringIO()
        call_command(*arguments, stdout=out, stderr=StringIO(), **options)
        return out.getvalue()

    return call


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, where reports are written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
