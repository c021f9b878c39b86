"""A training's state on disk, from which one that was killed goes on: arrays and JSON, no pickle."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import torch
from torch import Tensor

import django_sessrec
from django_sessrec.recsys.sessions import SessionLog

logger = logging.getLogger("django_sessrec")

SECONDS_BETWEEN = 60.0
SHARE_OF_TIME = 0.02  # at most: a million items' state takes seconds to write
TRAINING, TRAINED = "training.npz", "trained.npz"


class Stateful(Protocol):
    """A part of a training, such as its net or its optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


Parts = Mapping[str, Stateful]


class Checkpoint:
    """Keeps the parts of one training in a folder: as they are while it trains, the net alone when it has.

    folder: without one nothing is kept.
    of: all that the training is made of. What was kept of a training made of anything else is left aside.
    """

    def __init__(self, folder: Path | None, of: Mapping[str, str]) -> None:
        self.folder, self.of = folder, dict(of)
        self.due = time.monotonic() + SECONDS_BETWEEN

    def resume(self, parts: Parts) -> bool:
        """Bring the parts to where a killed training left them, if it did."""
        return self._restore(TRAINING, parts)

    def is_trained(self, net: Stateful) -> bool:
        """Whether the training went to its end before; `net` is as it was then."""
        return self._restore(TRAINED, {"net": net})

    def keep_if_due(self, parts: Parts) -> None:
        if time.monotonic() >= self.due:
            self.keep(parts)

    def keep(self, parts: Parts) -> None:
        """Write the state between two steps."""
        began = time.monotonic()
        self._write(TRAINING, parts)
        now = time.monotonic()
        self.due = now + max(SECONDS_BETWEEN, (now - began) / SHARE_OF_TIME)

    def finish(self, net: Stateful) -> None:
        """Keep what was trained: a training of several nets may be killed in a later one."""
        self._write(TRAINED, {"net": net})
        if self.folder is not None:
            with suppress(OSError):
                (self.folder / TRAINING).unlink()

    def _write(self, name: str, parts: Parts) -> None:
        """At one stroke; a disk that is full is a warning, for the training itself can go on."""
        if self.folder is None:
            return
        unfinished = self.folder / f".{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                dump({"of": self.of, **{part: parts[part].state_dict() for part in parts}}, file)
            unfinished.replace(self.folder / name)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            logger.warning("no checkpoint could be written, so a killed training would start anew: %s", error)

    def _restore(self, name: str, parts: Parts) -> bool:
        if self.folder is None or not (self.folder / name).exists():
            return False
        path = self.folder / name
        try:
            with path.open("rb") as file:
                state = load(file)
        except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
            logger.warning("the checkpoint %s can't be read, and the training starts anew: %s", path, error)
            return False
        if differing := sorted(key for key in self.of if state["of"].get(key) != self.of[key]):
            logger.info("the checkpoint %s is of other %s, and is left aside", path, " and ".join(differing))
            return False
        for part, stateful in parts.items():
            stateful.load_state_dict(state[part])
        return True


class RandomState:
    """Torch's random numbers, as a part of a training."""

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["cpu"])
        torch.cuda.set_rng_state_all(state["cuda"])


def made_of(recipe: object, *logs: SessionLog | None) -> dict[str, str]:
    """What two trainings must share for one to go on with the other's state."""
    return {
        "recipe": repr(recipe),
        "data": fingerprint(*logs),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "version": f"django_sessrec {django_sessrec.__version__}, torch {torch.__version__}",
    }


def fingerprint(*logs: SessionLog | None) -> str:
    """SHA-256 of every click, its time and the items' ids."""
    digest = hashlib.sha256()
    for log in logs:
        if log is None:
            digest.update(b"none")
            continue
        digest.update(json.dumps(log.index.ids).encode())
        for array in (log.items, log.offsets, log.times):
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def dump(tree: Any, file: IO[bytes]) -> None:
    """Write nested dicts, lists, numbers, text and tensors as an .npz file of arrays, one of them JSON."""
    arrays: dict[str, Any] = {}

    def plain(node: Any) -> Any:
        if isinstance(node, Tensor):
            name = f"tensor-{len(arrays)}"
            arrays[name] = node.detach().cpu().numpy()
            return {"tensor": name}
        if isinstance(node, Mapping):  # as pairs: an optimiser's keys are numbers, which JSON's are not
            return {"pairs": [[key, plain(value)] for key, value in node.items()]}
        return [plain(each) for each in node] if isinstance(node, list | tuple) else node

    text = json.dumps(plain(tree)).encode()
    np.savez(file, allow_pickle=False, tree=np.frombuffer(text, np.uint8), **arrays)


def load(file: IO[bytes]) -> Any:
    """What `dump` wrote, with lists for tuples; ValueError, LookupError or BadZipFile if damaged."""
    with np.load(file, allow_pickle=False) as arrays:

        def rich(node: Any) -> Any:
            if isinstance(node, dict) and "tensor" in node:
                return torch.from_numpy(arrays[node["tensor"]])
            if isinstance(node, dict):
                return {key: rich(value) for key, value in node["pairs"]}
            return [rich(each) for each in node] if isinstance(node, list) else node

        return rich(json.loads(arrays["tree"].tobytes()))
