import asyncio
import threading
import time
from contextlib import suppress
from typing import Self

from benchmarks.neighbourly.steady import SteadyLoad
from tests.support.benchmarks import measured

HELD_SECONDS = 0.5


class Server:
    """Answers every request, but while it holds its answers back."""

    def __init__(self) -> None:
        self.port = 0
        self._bound, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._bound.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def hold(self) -> None:
        self._loop.call_soon_threadsafe(self._answers.clear)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._answers.set)

    async def _serve(self) -> None:
        self._loop, self._answers = asyncio.get_running_loop(), asyncio.Event()
        self._answers.set()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._bound.set()
        async with server:
            await asyncio.to_thread(self._done.wait)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await self._answers.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


def test_a_page_that_still_waits_counts():
    with Server() as server, SteadyLoad(server.port, "/{}/", [["1", "2"]], rate=50) as visitors:
        time.sleep(HELD_SECONDS)
        server.hold()
        time.sleep(HELD_SECONDS)
        threading.Timer(HELD_SECONDS, server.release).start()
        figures = visitors.percentiles(2 * HELD_SECONDS)
    assert figures["p90_ms"] > 500 * HELD_SECONDS


def test_a_fit_beside_a_loaded_shop_is_measured_against_both_alone(tmp_path):
    size = ("--items", "500", "--sessions", "2000", "--seconds", "1", "--rounds", "1")
    options = (*size, "--requests", "200", "--load", "0.1", "--niceness", "0")
    figures = measured("neighbourly", *options, out=tmp_path / "neighbourly.json")
    ratios = {"fit_share", "page_p90_ratio", "page_p50_ratio"}
    assert ratios | {f"{name}_as_before" for name in ratios} <= figures.keys()
    fair = figures["idle_share"]  # none where other work left no core idle
    assert (figures["fit_share"] is None) == (fair == 0)
    assert all(figures[name] > 0 for name in ratios if fair or not name.startswith("fit_share"))
    assert 0 < figures["rate"] < figures["capacity"]
    assert figures["beside"]["targets_per_s"] > 0
