"""The test project with a model whose training goes on until a file is there, and a net."""

import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import SESSREC

HERE = Path(os.environ["TRAINS_HERE"])
SESSREC = SESSREC | {
    "ARTIFACTS": HERE / "artifacts",
    "MODELS": {
        "popularity": {
            "ESTIMATOR": "tests.training.estimators.Waiting",
            "OPTIONS": {"until": str(HERE / "go")},
        },
        "net": {"ESTIMATOR": "tests.training.slow_net.SlowNet"},
    },
}
