"""How far bots can push one item: `python -m benchmarks.poisoning --out build/poison.json`.

A fifth of all visits (`--programs`) are bots' that want one little-known item shown. Their clicks are stored
in Postgres among people's, quarantined, read and trained on as in a shop. The figure is the share of
people's lists, twenty items long, that then hold the item.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.capture.paired_requests import shop as running_app
from benchmarks.datasets import load
from benchmarks.poisoning.attacks import PROGRAMS, STYLES, empty, measure, shop_of
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.synthetic import synthetic_shop

SYNTHETIC = {"items": 1_000, "groups": 20, "sessions": 8_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path, help="folder of real visits, beside the synthetic shop")
    parser.add_argument("--models", default="neighbours,gru4rec")
    parser.add_argument("--programs", type=float, default=PROGRAMS, help="their share of all visits")
    arguments = parser.parse_args()
    estimators: dict[str, Any] = {"neighbours": Neighbours()}
    if "gru4rec" in arguments.models.split(","):
        from django_sessrec.neural import GRU4Rec

        estimators["gru4rec"] = GRU4Rec(embedding_size=64, epochs=2)
    draw = np.random.default_rng(0)
    shops = [shop_of("synthetic shop", synthetic_shop(**SYNTHETIC).log, draw, own_times=False)]
    if arguments.data:
        dataset = load(arguments.data)
        shops.append(shop_of(dataset.name, dataset.train, draw, own_times=True))
    results = {}
    with running_app():
        for shop in shops:
            results[shop.name] = measure(shop, list(STYLES), estimators, programs=arguments.programs)
            _print_table(shop.name, results[shop.name])
            empty()
            if arguments.out:
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                arguments.out.write_text(json.dumps(results, indent=2) + "\n")


def _print_table(name: str, figures: Mapping[str, Any]) -> None:
    print(f"{name}: share of lists with the pushed item, clean {_percents(figures['clean'])}")
    for style in STYLES:
        for defence, shares in figures[style].items():
            print(f"  {style:10} {defence:22} {_percents(shares)}", flush=True)


def _percents(shares: Mapping[str, float]) -> str:
    return "  ".join(f"{model} {share:6.1%}" for model, share in shares.items())


if __name__ == "__main__":
    main()
