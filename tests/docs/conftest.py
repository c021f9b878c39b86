"""A fresh project for each page."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.docs.project import OSCAR, Project

collect_ignore = [] if OSCAR.exists() else ["test_oscar.py"]  # `make test-recipes` installs oscar


@pytest.fixture
def project_database(transactional_db: None) -> Iterator[str]:
    """An empty database of the project's own, beside the tests'."""
    name = f"fresh_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def project(tmp_path: Path, project_database: str) -> Project:
    """What `django-admin startproject` makes, with a small shop in it."""
    return Project(tmp_path, project_database)
