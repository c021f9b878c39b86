"""Progress of a command: a bar on a terminal, a line per stage in a log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.management.base import OutputWrapper

WIDTH = 24
SECONDS_BETWEEN_LINES = 0.1


class Progress:
    """Shows stages on `stream`; called with a stage, the share done (None: unknown), and what to show."""

    def __init__(self, stream: OutputWrapper, title: str) -> None:
        self.stream = stream
        self.title = title
        self.bar = stream.isatty()
        self.stage = ""
        self.began = self.drawn = 0.0

    def __call__(self, stage: str, share: float | None, shown: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self._begin(stage, now)
        if self.bar and (share == 1 or now - self.drawn >= SECONDS_BETWEEN_LINES):
            self.drawn = now
            self._draw(share, shown, now - self.began)

    def end(self) -> None:
        """Leave the line that the bar stands on."""
        if self.bar and self.stage:
            self._put("\n")

    def _begin(self, stage: str, now: float) -> None:
        self.end()
        self.stage, self.began, self.drawn = stage, now, 0.0
        if not self.bar:
            self._put(f"{self.title}: {stage}\n")

    def _draw(self, share: float | None, shown: Mapping[str, Any], seconds: float) -> None:
        full = WIDTH * (share or 0)
        gauge = "" if share is None else f" {'█' * int(full):░<{WIDTH}} {share:4.0%}"
        facts = "  ".join(f"{name} {_short(value)}" for name, value in shown.items())
        self._put(f"\r\x1b[K{self.title}: {self.stage:<9}{gauge} {seconds:5.1f} s  {facts}")

    def _put(self, text: str) -> None:
        self.stream.write(text, str, "")  # as it is: errors would be red, and lines would end
        self.stream.flush()


def _short(value: Any) -> str:
    return (
        f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
