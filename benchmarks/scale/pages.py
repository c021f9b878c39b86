"""A page with recommendations in a shop that has grown: through granian, with a number of web workers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

from benchmarks.serving.visitors import visit

CONNECTIONS = 8
PAGES = {"plain": "/plain/{}/", "page": "/tagged/{}/"}


def pages(
    url: str,
    model: Path,
    items: int,
    workers: Sequence[int],
    sessions: Sequence[Sequence[str]],
    asked: int,
) -> dict[str, float]:
    """Requests a second, p50 and p90 of a session's page with the list and of the page without, by workers.

    model: a folder with the artifact that answers. sessions: item ids of the visitors' clicks. asked:
    requests for each page, after a fifth as many that are not measured.
    """
    with tempfile.TemporaryDirectory() as artifacts:
        os.environ |= {
            "DATABASE_URL": url,
            "SESSREC_ARTIFACTS": artifacts,
            "DJANGO_SETTINGS_MODULE": "benchmarks.serving.settings",
        }
        django.setup()
        from benchmarks.serving.__main__ import server

        stock(items)
        shutil.copytree(model, Path(artifacts) / "model")
        promote("model")
        figures = {}
        for number in workers:
            with server(number) as (port, _):
                for page, address in PAGES.items():
                    for requests in (max(asked // 5, CONNECTIONS), asked):
                        load = visit(
                            port,
                            address,
                            sessions,
                            consent=True,
                            requests=requests,
                            connections=CONNECTIONS,
                        )
                    for name, value in load.figures().items():
                        figures[f"{page}_{name}_{number}_workers"] = value
        return figures


def stock(items: int) -> None:
    """The shop's products, 1 to `items`: rows of Django's groups, as in benchmarks/serving."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auth_group (id, name) SELECT n, 'product ' || n FROM generate_series(1, %s) AS n",
            [items],
        )
        cursor.execute("VACUUM ANALYZE auth_group")


def promote(artifact: str) -> None:
    from django_sessrec.models import Promotion, TrainingRun

    run = TrainingRun.objects.create(
        model="neighbours", trigger="benchmark", state="published", artifact=artifact
    )
    Promotion.objects.create(model="neighbours", run=run, promoted_by="benchmark")
