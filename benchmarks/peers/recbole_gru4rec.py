"""RecBole 1.2's GRU4Rec, with the settings that its authors tuned for Diginetica.

Settings: RecBole-GNN, results/sequential/diginetica.md; the data is handed over as in RecBole's own
run_example/session_based_rec_example.py, every prefix of every session a row.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.utils import get_dataloader
from recbole.utils import get_model, get_trainer, init_seed

from benchmarks.peers.contestant import LONGEST, Race, padded
from django_sessrec.recsys.sessions import SessionLog

NAME = "diginetica-session"
SETTINGS = {
    "USER_ID_FIELD": "session_id",
    "ITEM_LIST_LENGTH_FIELD": "item_length",
    "MAX_ITEM_LIST_LENGTH": LONGEST,
    "load_col": None,
    "benchmark_filename": ["train"],
    "alias_of_item_id": ["item_id_list"],
    "train_neg_sample_args": None,
    "train_batch_size": 4096,
    "learning_rate": 0.01,
    "embedding_size": 64,
    "hidden_size": 128,
    "num_layers": 1,
    "dropout_prob": 0.3,
    "loss_type": "CE",
    "show_progress": False,
    "state": "ERROR",
}


def main(folder: Path, threads: int, options: dict[str, Any]) -> None:
    race = Race(folder, threads)
    prefixes = Path(mkdtemp(dir=folder))
    write_prefixes(race.train, prefixes / NAME)
    config = Config("GRU4Rec", NAME, config_dict=SETTINGS | options | {"data_path": str(prefixes)})
    init_seed(config["seed"], config["reproducibility"])
    torch.set_num_threads(threads)
    (train,) = create_dataset(config).build()
    batches = get_dataloader(config, "train")(config, train, None, shuffle=True)
    model = get_model("GRU4Rec")(config, train)
    trainer = get_trainer(config["MODEL_TYPE"], "GRU4Rec")(config, model)
    their_row = np.array([0, *(train.token2id("item_id", item_id) for item_id in race.train.index.ids[1:])])

    @torch.no_grad()
    def scores(sessions):
        model.eval()
        lengths = torch.tensor([len(session) for session in sessions])
        asked = {"item_id_list": padded(sessions, their_row, left=False), "item_length": lengths}
        found = model.full_sort_predict(asked).numpy()[:, their_row]
        model.train()
        return found

    def loss(batch):
        nonlocal targets
        targets = len(batch)
        return model.calculate_loss(batch)

    targets = 0
    trainer.optimizer.register_step_post_hook(lambda *_: race.trained(targets))
    race.run(scores, lambda: trainer._train_epoch(batches, 0, loss_func=loss))


def write_prefixes(log: SessionLog, folder: Path) -> None:
    """RecBole's atomic file: session, prefix, next item."""
    folder.mkdir()
    with (folder / f"{NAME}.train.inter").open("w") as file:
        file.write("session_id:token\titem_id_list:token_seq\titem_id:token\n")
        for session in range(len(log)):
            clicks = [str(row) for row in log[session]]
            for length in range(1, len(clicks)):
                prefix = " ".join(clicks[max(0, length - LONGEST) : length])
                file.write(f"{session}\t{prefix}\t{clicks[length]}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
