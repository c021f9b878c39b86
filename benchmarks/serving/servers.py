"""What the app costs under sync and async web servers: `python -m benchmarks.serving.servers`.

The pages of `benchmarks.serving` through granian (WSGI, sync views) and through granian and uvicorn (ASGI,
async views), each with two workers and a pool of connections. Servers and pages take turns. The JSON, of each
server:

    bare, tracked, tagged   requests_per_s, p50_ms, p90_ms, p99_ms of a session's page without the app, with
                            the middleware, and with a list besides
    tracked_us, tagged_us   of the machine's time that a page costs over the bare one: connections are always
                            busy, so all cores are
    tracked_over_bare, tagged_over_bare     of requests/s
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.__main__ import GRANIAN, server, shop, together
from benchmarks.serving.visitors import Load, visit

ROUNDS = 3
ASGI = "django.core.asgi:get_asgi_application"
COMMANDS: dict[str, Sequence[str]] = {
    "granian_wsgi": GRANIAN,
    "granian_asgi": (
        "granian", "--interface", "asginl", "--no-log", "--port", "{port}", "--workers", "{workers}",
        "--factory", ASGI,
    ),
    "uvicorn": (
        "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}", "--no-access-log",
        "--log-level", "error", "--factory", ASGI,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=3_000, help="of each server and page")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--servers", default=",".join(COMMANDS))
    options = parser.parse_args()
    loads: dict[str, dict[str, list[Load]]] = {name: {} for name in options.servers.split(",")}
    with shop(options.items, options.sessions) as visits:
        for _ in range(ROUNDS):
            for name, pages in loads.items():
                measure(name, pages, visits, options)
    figures = {name: figures_of(pages) for name, pages in loads.items()}
    print(json.dumps(figures, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


def measure(
    name: str, pages: dict[str, list[Load]], visits: Sequence[Sequence[str]], options: argparse.Namespace
) -> None:
    """One round of a server."""
    kind = "async_" if name != "granian_wsgi" else ""
    plain, tagged = f"/{kind}plain/{{}}/", f"/{kind}tagged/{{}}/"
    a_round = {"requests": options.requests // ROUNDS, "connections": options.connections, "consent": True}
    warm_up = a_round | {"requests": 10 * options.connections}
    with server(2, COMMANDS[name], plain, POOL="1") as (port, _pid):
        for page, address in (("tracked", plain), ("tagged", tagged)):
            visit(port, address, visits, **warm_up)
            pages.setdefault(page, []).append(visit(port, address, visits, **a_round))
    with server(2, COMMANDS[name], plain, POOL="1", WITHOUT_SESSREC="1") as (port, _pid):
        visit(port, plain, visits, **warm_up)
        pages.setdefault("bare", []).append(visit(port, plain, visits, **a_round))


def figures_of(pages: dict[str, list[Load]]) -> dict[str, Any]:
    figures: dict[str, Any] = {page: together(loads).figures() for page, loads in pages.items()}
    rates = {page: of["requests_per_s"] for page, of in figures.items()}
    for page in ("tracked", "tagged"):
        figures[f"{page}_us"] = 1e6 * (os.cpu_count() or 1) * (1 / rates[page] - 1 / rates["bare"])
        figures[f"{page}_over_bare"] = rates[page] / rates["bare"]
    return figures


if __name__ == "__main__":
    main()
