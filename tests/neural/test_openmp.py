"""Threads that wait for each other soon sleep, so that a busy machine is no trap for a training."""

import os
import subprocess
import sys

import pytest

from django_sessrec.neural.openmp import SPIN_COUNT, SPIN_COUNT_BUSY, spin_count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU OpenMP on Linux alone")


def openmp_settings(**environment: str) -> str:
    """What GNU OpenMP says of its settings in a process that imports a network with this environment."""
    of_test = {name: os.environ[name] for name in os.environ if not name.startswith(("GOMP_", "OMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", "from django_sessrec.neural import GRU4Rec"],
        env=of_test | {"OMP_DISPLAY_ENV": "verbose"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_torch_is_imported_with_the_bound() -> None:
    settings = openmp_settings()
    assert any(f"GOMP_SPINCOUNT = '{count}'" in settings for count in (SPIN_COUNT, SPIN_COUNT_BUSY))


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "77"}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_what_the_environment_says_stays(own: dict[str, str]) -> None:
    settings = openmp_settings(**own)
    assert all(f"{name} = '{value}'" in settings for name, value in own.items())
    assert f"'{SPIN_COUNT}'" not in settings
    assert f"'{SPIN_COUNT_BUSY}'" not in settings


def test_where_cores_are_taken_they_sleep_sooner() -> None:
    assert spin_count(load=0.9, cpus=2) == SPIN_COUNT
    assert spin_count(load=1.0, cpus=2) == spin_count(load=9.0, cpus=2) == SPIN_COUNT_BUSY
    assert spin_count(load=3.0, cpus=16) == SPIN_COUNT
