"""Training beside a busy shop: `python -m benchmarks.neighbourly --out build/neighbourly.json`.

Granian with its pages, Postgres, their visitors and a network's fit share the cores. Visitors come at a
steady rate, a share of what the shop can take, and an answer's time counts from when its request was due.
The shop alone, the shop with a fit beside it, and the fit alone take turns. The JSON:

    fit_share            targets/s beside the shop, over the fair share: targets/s alone times the share of
                         the cores that the shop alone leaves idle; null where other work left none
    page_p90_ratio       p90 of the page with a fit beside it, over p90 without
    page_p50_ratio       as page_p90_ratio
    *_as_service         the same with the fit in a session of its own, as a worker of its own is
    *_as_before          the same with the fit at the shop's own priority, with as many threads as cores
    *_of_a_loop          with an empty loop of the lowest priority in the fit's place: pages only
    rate, capacity       requests/s sent, and what the shop takes with nothing else to do
    idle_share           of the cores, with the shop alone
    alone, beside        medians: p50_ms, p90_ms, targets_per_s, threads
    load_before          the machine's load of the last minute when this began; cores
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.neighbourly.fitting import Fit, idle_loop
from benchmarks.neighbourly.steady import SteadyLoad
from benchmarks.serving.__main__ import PAGES, server, shop
from benchmarks.serving.visitors import visit
from django_sessrec.conf import SETTINGS
from django_sessrec.training.good_neighbour import free_cores

Figures = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--sessions", type=int, default=100_000, help="that the shop's model is fitted on")
    parser.add_argument(
        "--load", type=float, default=0.4, help="share of the shop's capacity that is asked for"
    )
    parser.add_argument("--requests", type=int, default=2_000, help="that tell the capacity")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    parser.add_argument(
        "--niceness", type=int, default=SETTINGS["TRAIN_NICENESS"].default, help="TRAIN_NICENESS of the fit"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    load_before = os.getloadavg()[0]
    with shop(options.items, options.sessions) as visits, server(2) as (port, _pid):
        figures = measure(port, visits, options)
    figures |= {"load_before": load_before, "cores": float(os.cpu_count() or 1)}
    for name, value in figures.items():
        print(f"{name:28}", value)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


def measure(port: int, visits: Any, options: argparse.Namespace) -> dict[str, Any]:
    page = PAGES["tagged"]
    for _ in range(2):  # the first is the warm-up
        load = visit(port, page, visits, consent=True, requests=options.requests, connections=8)
    capacity = load.figures()["requests_per_s"]
    rate = capacity * options.load
    found: dict[str, Figures] = {}
    modes = {
        "": partial(Fit, options.niceness),
        "_as_service": partial(Fit, options.niceness, as_service=True),
        "_as_before": partial(Fit, None),
    }

    def note(where: str, **values: float) -> None:
        for name, value in values.items():
            found.setdefault(where, {}).setdefault(name, []).append(value)

    for _ in range(options.rounds):
        with SteadyLoad(port, page, visits, rate) as visitors:
            idle = free_cores(os.sched_getaffinity(0), options.seconds)
            note("alone", idle=idle, **visitors.percentiles(options.seconds))
        with SteadyLoad(port, page, visits, rate) as visitors, idle_loop():
            time.sleep(options.seconds)
            note("beside_of_a_loop", **visitors.percentiles(options.seconds))
        for mode, a_fit in modes.items():
            with SteadyLoad(port, page, visits, rate) as visitors:
                time.sleep(2)  # the shop is busy when the fit begins
                with a_fit() as fit:
                    time.sleep(options.seconds)
                    note(
                        f"beside{mode}",
                        **fit.figures(options.seconds),
                        **visitors.percentiles(options.seconds),
                    )
            with a_fit() as fit:
                time.sleep(options.seconds)
                note(f"alone{mode}", **fit.figures(options.seconds))
    medians = {
        where: {name: statistics.median(values) for name, values in figures.items()}
        for where, figures in found.items()
    }
    idle_share = medians["alone"]["idle"] / len(os.sched_getaffinity(0))
    ratios: dict[str, float | None] = {}
    for mode in (*modes, "_of_a_loop"):
        beside, quiet = medians[f"beside{mode}"], medians["alone"]
        for name in ("p90", "p50"):
            ratios[f"page_{name}_ratio{mode}"] = beside[f"{name}_ms"] / quiet[f"{name}_ms"]
        if mode in modes:
            fair = quiet["targets_per_s"] * idle_share
            ratios[f"fit_share{mode}"] = beside["targets_per_s"] / fair if fair else None
    return {**ratios, "rate": rate, "capacity": capacity, "idle_share": idle_share, **medians}


if __name__ == "__main__":
    main()
