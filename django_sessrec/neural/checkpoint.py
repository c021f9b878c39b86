"""State of a training run on disk, from which an interrupted run is resumed."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

import django_sessrec
from django_sessrec.neural.serialization import dump, load
from django_sessrec.recsys import artifact
from django_sessrec.recsys.sessions import SessionLog

logger = logging.getLogger("django_sessrec")

SECONDS_BETWEEN = 60.0
SHARE_OF_TIME = 0.02  # at most: a million items' state takes seconds to write
TRAINING, TRAINED = "training-{device}.npz", "trained.npz"


class Stateful(Protocol):
    """A part of a training run, such as its network or its optimizer."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


Parts = Mapping[str, Stateful]


class Checkpoint:
    """A folder with the parts of one training run: all of them while it trains, then the network alone.

    folder: None keeps nothing.
    of: everything that the run is made of (`made_of`). A state of a run made of anything else is ignored.
    """

    def __init__(self, folder: Path | None, of: Mapping[str, str]) -> None:
        self.folder, self.of = folder, dict(of)
        self.due = time.monotonic() + SECONDS_BETWEEN

    def resume(self, parts: Parts, *, device: str, processes: int) -> bool:
        """Load the state of an interrupted run into the parts; whether there was one.

        device, processes: with which this run takes its steps, and the interrupted one took its own. The
        state of each kind of device has its own file: a run that fell back from a GPU to the processor
        resumes there, though it tries the GPU first.
        """
        self.training = TRAINING.format(device=device)
        self.of_steps = self.of | {"device": device, "processes": str(processes)}
        return self._restore(self.training, parts, self.of_steps)

    def is_trained(self, network: Stateful) -> bool:
        """Load the trained weights into `network`; whether an earlier run had finished them."""
        return self._restore(TRAINED, {"network": network}, self.of)

    def keep_if_due(self, parts: Parts) -> None:
        """Write the state if the last time is SECONDS_BETWEEN ago, or longer where writing is slow."""
        if time.monotonic() >= self.due:
            self.keep(parts)

    def keep(self, parts: Parts) -> None:
        """Write the state between two steps of a run that began with `resume`."""
        began = time.monotonic()
        self._write(self.training, parts, self.of_steps)
        now = time.monotonic()
        self.due = now + max(SECONDS_BETWEEN, (now - began) / SHARE_OF_TIME)

    def finish(self, network: Stateful) -> None:
        """Keep the trained weights: a run that trains several networks may be interrupted in a later one."""
        self._write(TRAINED, {"network": network}, self.of)
        if self.folder is not None:
            for state in self.folder.glob(TRAINING.format(device="*")):
                with suppress(OSError):
                    state.unlink()

    def _write(self, name: str, parts: Parts, of: Mapping[str, str]) -> None:
        """Replace the file atomically; a full disk is only a warning, because training can continue."""
        if self.folder is None:
            return
        unfinished = self.folder / f".{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                dump({"of": of, **{part: parts[part].state_dict() for part in parts}}, file)
            unfinished.replace(self.folder / name)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            logger.warning("no checkpoint could be written; if interrupted, training starts again: %s", error)

    def _restore(self, name: str, parts: Parts, of: Mapping[str, str]) -> bool:
        if self.folder is None or not (self.folder / name).exists():
            return False
        path = self.folder / name
        try:
            with path.open("rb") as file:
                state = load(file)
        except artifact.DAMAGED as error:
            logger.warning("the checkpoint %s can't be read, so training starts again: %s", path, error)
            return False
        if differing := sorted(key for key in of if state["of"].get(key) != of[key]):
            logger.info("the checkpoint %s is of other %s, and is ignored", path, " and ".join(differing))
            return False
        untouched = {part: copy.deepcopy(parts[part].state_dict()) for part in parts}
        try:
            for part, stateful in parts.items():
                stateful.load_state_dict(state[part])
        except (ValueError, LookupError) as error:  # an optimizer of another kind
            logger.warning("the checkpoint %s does not fit, so training starts again: %r", path, error)
            for part, stateful in parts.items():
                stateful.load_state_dict(untouched[part])
            return False
        return True


class RandomState:
    """Torch's random number generators, as a part of a training run."""

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        torch.set_rng_state(state["cpu"])
        torch.cuda.set_rng_state_all(state["cuda"])


def made_of(recipe: object, *logs: SessionLog | None) -> dict[str, str]:
    """What two training runs must have in common for one to resume from the other's state."""
    return {
        "recipe": repr(recipe),
        "data": fingerprint(*logs),
        "version": f"django_sessrec {django_sessrec.__version__}, torch {torch.__version__}",
    }


def fingerprint(*logs: SessionLog | None) -> str:
    """SHA-256 of every click, its time and the items' ids, in hexadecimal digits."""
    digest = hashlib.sha256()
    for log in logs:
        if log is None:
            digest.update(b"none")
            continue
        digest.update(json.dumps(log.index.ids).encode())
        for name, array in log.arrays().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
