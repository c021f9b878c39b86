"""The estimators' short paths, each of which loads its own module alone."""

import subprocess
import sys

import pytest

from django_sessrec import neural

LOADED = """
import sys
from django_sessrec.neural import {name}
print(*sorted(name.rsplit(".", 1)[1] for name in sys.modules if name.startswith("django_sessrec.neural.")))
"""


@pytest.mark.parametrize("name", neural.__all__)
def test_every_estimator_has_a_short_path(name: str) -> None:
    assert getattr(neural, name).__name__ == name
    assert name in dir(neural)


def test_naming_one_estimator_loads_no_other() -> None:
    command = [sys.executable, "-c", LOADED.format(name="GRU4Rec")]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "gru4rec" in loaded
    assert not {"sasrec", "srgnn", "ranked", "ranker"} & set(loaded)


def test_a_name_that_is_none_of_them_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GRU4Rex'"):
        _ = neural.GRU4Rex
