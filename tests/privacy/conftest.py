"""The shop and the models of the serving tests."""

import pytest


@pytest.fixture(autouse=True)
def _fresh(fresh_process):
    """No test sees what another's web process remembers."""
