import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import django_sessrec
from django_sessrec.recsys import kernels
from django_sessrec.recsys.kernels import features


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the engine whose compiled library may be spoilt."""
    package = Path(django_sessrec.__file__).parent
    shutil.copytree(package / "recsys", tmp_path / "django_sessrec" / "recsys")
    shutil.copy(package / "__init__.py", tmp_path / "django_sessrec")
    return tmp_path


def import_error(checkout: Path) -> str:
    command = [sys.executable, "-c", "import django_sessrec.recsys.neighbours"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False).stderr


def test_an_intact_copy_imports(checkout):
    assert import_error(checkout) == ""


def test_a_checkout_that_was_never_compiled_says_what_to_run(checkout):
    (checkout / "django_sessrec/recsys/kernels" / kernels.LIBRARY.name).unlink()
    assert "ImportError: the compiled kernels do not load" in import_error(checkout)
    assert "pip install -e ." in import_error(checkout)


@pytest.mark.parametrize(("name", "newer"), [("neighbours.c", "/* newer */\n"), ("features.py", "# newer\n")])
def test_a_library_older_than_its_sources_says_what_to_run(checkout, name, newer):
    with (checkout / "django_sessrec/recsys/kernels" / name).open("a") as source:
        source.write(newer)
    assert "was compiled from other sources" in import_error(checkout)
    assert "pip install -e ." in import_error(checkout)


def test_the_header_that_c_includes_numbers_the_features_in_the_order_of_their_columns():
    compiled = (kernels.FOLDER / "features.h").read_text()
    assert compiled == features.header()
    columns = re.findall(r"\w+", compiled.splitlines()[-1].removeprefix("enum"))
    assert columns == [*map(str.upper, features.FEATURES), "FEATURES"]
