"""The synthetic shop that the nets are fitted on, and each net fitted once."""

from __future__ import annotations

import pytest

from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from django_sessrec.recsys.exported import ExportedNet
from django_sessrec.recsys.sessions import SessionLog
from django_sessrec.recsys.synthetic import synthetic_shop

ESTIMATORS = {"gru4rec": GRU4Rec, "sasrec": SASRec, "srgnn": SRGNN}


@pytest.fixture(scope="session")
def logs() -> tuple[SessionLog, SessionLog]:
    """Sessions to fit on, and the last tenth of them in time."""
    return synthetic_shop().log.split_last(0.1)


@pytest.fixture(scope="session", params=ESTIMATORS)
def net(request: pytest.FixtureRequest, logs: tuple[SessionLog, SessionLog]) -> ExportedNet:
    return ESTIMATORS[request.param](threads=1).fit(logs[0])
