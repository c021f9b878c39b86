import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import django_sessrec
from django_sessrec.recsys import kernels


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


def test_a_library_older_than_its_sources_says_what_to_run(checkout):
    with (checkout / "django_sessrec/recsys/kernels/neighbours.c").open("a") as source:
        source.write("/* newer */\n")
    assert "was compiled from other C files" in import_error(checkout)
    assert "pip install -e ." in import_error(checkout)
