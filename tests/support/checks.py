"""What the checks say of a set-up."""

from django.core.checks import run_checks
from django.test import override_settings

GOOD = {"CATALOGUE": "tests.demo.recommendations.DemoCatalogue", "ARTIFACTS": "/srv/artifacts"}


def findings(**overrides):
    """The app's findings by their ids, with these settings of Django's."""
    with override_settings(**overrides):
        return {message.id: message for message in run_checks(tags=["sessrec"])}
