"""Inference sessions of onnxruntime, which no other module imports: networks run here without torch."""

from __future__ import annotations

import onnxruntime

onnxruntime.disable_telemetry_events()


def open_session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    """The network of an ONNX file; `name` stands for it in errors. ValueError where it does not open.

    One thread: a web worker answers one visitor at a time, and its siblings want the other cores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ValueError(
            f"the network's {name} does not open with onnxruntime {onnxruntime.__version__} (upgrade it if"
            f" the model was trained beside a newer one): {error}"
        ) from error
