"""Speed of the networks' training steps: `python -m benchmarks.accuracy.training_speed --data FOLDER`.

With the default options, or in batches of `--batch-size`, on the GPU where there is one. A batch has at most
a hundredth of the windows; the figures name its size. The targets_per_s of `make bench-models` are those of a
whole fit, with its start and its looks at the loss.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.accuracy.models import estimators_named
from benchmarks.datasets import load
from django_sessrec.neural.estimator import NeuralEstimator
from django_sessrec.neural.training import Trainer, training_device
from django_sessrec.recsys.sessions import SessionLog

NETWORKS = ("gru4rec", "sasrec", "srgnn")
WARM_UP = 200  # steps: a GPU records each length once it has met it twice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one dataset")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=350, help="that are timed, at most the rest of an epoch")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    sessions = load(arguments.data).train
    results = {}
    for name in NETWORKS:
        recipe = replace(estimators_named(name, seeds=1)[0], batch_size=arguments.batch_size)
        results[name] = speed(recipe, sessions, arguments.steps)
        print(name, "  ".join(f"{key} {value:,.4g}" for key, value in results[name].items()), flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


def speed(recipe: NeuralEstimator, sessions: SessionLog, steps: int) -> dict[str, float]:
    """targets_per_s and ms_per_step of so many steps, once WARM_UP of them are through; the batch_size."""
    device = training_device(recipe.device)
    encoder = recipe.encoder(recipe.initial_vectors(sessions)).to(device).train()
    trainer = Trainer(encoder, recipe, sessions)
    batches = list(trainer.sampler.batches())
    timed = batches[WARM_UP:][:steps] or batches
    for chosen in batches[:WARM_UP]:
        trainer.step(chosen)
    wait_for(device)
    began = time.perf_counter()
    for chosen in timed:
        trainer.step(chosen)
    wait_for(device)
    seconds = time.perf_counter() - began
    targets = sum(map(trainer.sampler.windows.n_targets_of, timed))
    return {
        "batch_size": trainer.sampler.batch_size,
        "targets_per_s": targets / seconds,
        "ms_per_step": 1000 * seconds / len(timed),
    }


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
