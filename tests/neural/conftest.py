"""The synthetic shop that the nets are fitted on."""

from __future__ import annotations

import pytest

from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop


@pytest.fixture(scope="session")
def logs() -> tuple[SessionLog, SessionLog]:
    """Sessions to fit on, and the last tenth of them in time."""
    return synthetic_shop().log.split_last(0.1)
