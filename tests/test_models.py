"""The models and their migrations."""

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_migrations_make_what_the_models_say(capsys):
    call_command("makemigrations", "sessrec", check=True, dry_run=True)
    assert "No changes detected" in capsys.readouterr().out
