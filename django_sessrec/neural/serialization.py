"""Nested state (dicts, lists, numbers, text and tensors) as an .npz file: arrays and JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor


def dump(tree: Any, file: IO[bytes]) -> None:
    """Write the tree to `file`; tensors become arrays, everything else one array of JSON text."""
    arrays: dict[str, Any] = {}

    def plain(node: Any) -> Any:
        if isinstance(node, Tensor):
            name = f"tensor-{len(arrays)}"
            arrays[name] = node.detach().cpu().numpy()
            return {"tensor": name}
        if isinstance(node, Mapping):  # as pairs: an optimizer's keys are numbers, which JSON's are not
            return {"pairs": [[key, plain(value)] for key, value in node.items()]}
        return [plain(each) for each in node] if isinstance(node, list | tuple) else node

    text = json.dumps(plain(tree)).encode()
    np.savez(file, allow_pickle=False, tree=np.frombuffer(text, np.uint8), **arrays)


def load(file: IO[bytes]) -> Any:
    """What `dump` wrote, with lists for tuples; or an error of artifact.DAMAGED."""
    with np.load(file, allow_pickle=False) as arrays:

        def rich(node: Any) -> Any:
            if isinstance(node, dict) and "tensor" in node:
                return torch.from_numpy(arrays[node["tensor"]])
            if isinstance(node, dict):
                return {key: rich(value) for key, value in node["pairs"]}
            return [rich(each) for each in node] if isinstance(node, list) else node

        return rich(json.loads(arrays["tree"].tobytes()))
