"""RecTools 0.19's SASRec with its defaults (two blocks, 256 factors, full softmax, batches of 128 sessions).

But for its sessions of 100 clicks, cut to the race's 20: padding would be four fifths of its work.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from benchmarks.peers.contestant import LONGEST, Race, padded


class AfterEachBatch(lightning.Callback):
    def __init__(self, race: Race) -> None:
        self.race = race

    def __deepcopy__(self, memo):  # the model copies its trainer
        return self

    def on_train_start(self, trainer, module):
        self.race.begin()

    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        self.race.trained(int((batch["y"] > 0).sum()))


def main(folder: Path, threads: int) -> None:
    race = Race(folder, threads)
    log = race.train
    clicks = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(log)), log.lengths),
            "item_id": log.items,
            "weight": 1,
            "datetime": pd.to_datetime(log.times, unit="s"),
        }
    )
    model = SASRecModel(
        session_max_len=LONGEST,
        get_trainer_func=lambda: lightning.Trainer(
            max_epochs=-1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[AfterEachBatch(race)],
        ),
    )
    dataset = Dataset.construct(clicks)

    @torch.no_grad()
    def scores(sessions):
        net, known = model.torch_model.eval(), model.data_preparator.item_id_map.to_internal.to_dict()
        their_row = np.array([known.get(row, 0) for row in range(len(log.index))])
        items = net.item_model.get_all_embeddings()
        states = net.encode_sessions({"x": padded(sessions, their_row, left=True)}, items)[:, -1]
        found = (states @ items.T).numpy()[:, their_row]
        found[:, their_row == 0] = -np.inf  # of sessions of one click: the model drops them
        net.train()
        return found

    race.run(scores, lambda: model.fit(dataset))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
