"""The wheel that shops install: all files of the package are in it, compiled, and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import django_sessrec

pytest.importorskip("hatchling", reason="the dependency group test brings it")

ROOT = Path(django_sessrec.__file__).parents[1]
SOURCES = (".gitignore", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
MADE = ("*.so", "*.mo", "*.pyc", "__pycache__", "features.h")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources as git has them, in a folder where a build disturbs nobody."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "django_sessrec", folder / "django_sessrec", ignore=shutil.ignore_patterns(*MADE))
    for name in SOURCES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "wheels"],
        cwd=checkout,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_file_of_the_package_is_in_the_wheel(checkout):
    sources = {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}
    done = build(checkout)
    assert done.returncode == 0, done.stderr
    (wheel,) = (checkout / "wheels").glob("*.whl")
    assert wheel.name.startswith(f"django_sessrec-{django_sessrec.__version__}-py3-none-")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing = {name for name in sources - names if name.startswith("django_sessrec/")}
    assert not missing
    made = {Path(name).name for name in names - sources}
    assert made == {"django.mo", "kernels.so"}
    assert sum(name.endswith("django.mo") for name in names) == sum(
        name.endswith("django.po") for name in names
    )


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler --fast"])
def test_a_compiler_that_fails_is_named_with_the_remedy(checkout, compiler):
    done = build(checkout, CC=compiler)
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if "does not compile the C kernels" in line]
    assert compiler in said
    assert "name a C compiler in CC" in said
    assert "Traceback" not in done.stderr
