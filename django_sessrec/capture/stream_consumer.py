"""The stream's consumer: thousands of rows at a time into Postgres, each message once.

A message is acknowledged after its rows are committed, and the same transaction keeps the consumer's receipt
for them. So a message that comes again, because its consumer died between the two, is known by the receipt,
and neither rows nor ledger meet it twice.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import reduce
from operator import add
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import DataError, IntegrityError

from django_sessrec import database
from django_sessrec.capture import partitions, store, stream
from django_sessrec.capture.event import event_from, impression_from
from django_sessrec.capture.failed_events import NOT_READABLE, read_each, store_each_failed, without_content
from django_sessrec.capture.fast_query import patient
from django_sessrec.ids import time_of
from django_sessrec.models import Heartbeat, Receipt
from django_sessrec.safety import warn

BATCH: Final = 1_000  # messages of a transaction: a tenth of a second of work
WAIT_MS: Final = 1_000  # for new messages
TIMEOUT_SECONDS: Final = 10.0  # with either server
CLAIM_AFTER_MS: Final = 15_000  # longer than any batch takes: a consumer that holds messages so long is dead
FORGOTTEN_MS: Final = 3_600_000  # the books keep the names of consumers that ended
SWEEP_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 10.0
PAUSE: Final = 1.0  # seconds after a failure of either server
EMPTY: Final = "[]"

Entry = tuple[str, Mapping[str, str] | None]  # its id and fields; None where it was deleted meanwhile


class Consumer:
    """One consumer of a group: any number may run, and each message goes to one of them."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self.server = stream.connect(TIMEOUT_SECONDS)
        self._joined = False
        self._unfinished = False  # whether messages of ours may wait in the group's books
        self._beat_at = self._swept_at = float("-inf")

    def run(self, stopped: Callable[[], bool], progress: Callable[[int], None] = lambda _rows: None) -> None:
        """Consume until `stopped`; `progress` hears how many rows each batch had.

        Outlives both servers; OtherShopError ends it.
        """
        while not stopped():
            try:
                progress(self.step())
            except stream.OtherShopError:
                raise
            except Exception as problem:
                warn("the stream's consumer pauses: %s", problem)
                database.connection().close()
                self._joined, self._unfinished = False, True
                time.sleep(PAUSE)

    def step(self, wait_ms: int = WAIT_MS) -> int:
        """Consume one batch; return how many rows it had. Raises what either server's client raises."""
        self._join()
        self._give_sign_of_life()
        self._take_over()
        messages = self._next(wait_ms)
        if self._unfinished:  # first what is stored already: the next receipt takes this one's place
            stored = self._receipts([self.name]).get(self.name, set())
            self._acknowledge([entry for entry, _ in messages if entry in stored])
            messages = [message for message in messages if message[0] not in stored]
        rows = self._store([message for message in messages if message[1]])
        self._acknowledge([entry for entry, _ in messages])
        return rows

    def _join(self) -> None:
        """Make stream and group where they are not there, as on an emptied server; OtherShopError."""
        if self._joined:
            return
        stream.claim(self.server)
        try:
            self.server.xgroup_create(stream.key(), stream.GROUP, id="0", mkstream=True)
        except Exception as problem:
            if "BUSYGROUP" not in str(problem):
                raise
        self._joined = True

    def _give_sign_of_life(self) -> None:
        if time.monotonic() - self._beat_at >= HEARTBEAT_SECONDS:
            Heartbeat.objects.update_or_create(name="consumer")
            self._beat_at = time.monotonic()

    def _take_over(self) -> None:
        """What dead consumers held becomes ours, but for what they stored and could not acknowledge."""
        if time.monotonic() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        self._strike_off()
        held = self.server.xpending_range(stream.key(), stream.GROUP, "-", "+", BATCH, idle=CLAIM_AFTER_MS)
        others = [each for each in held if each["consumer"] != self.name]
        receipts = self._receipts({str(each["consumer"]) for each in others})
        stored = [each for each in others if each["message_id"] in receipts.get(str(each["consumer"]), ())]
        self._acknowledge([str(each["message_id"]) for each in stored])
        left: list[Any] = [each["message_id"] for each in others if each not in stored]
        if left:
            self.server.xclaim(stream.key(), stream.GROUP, self.name, CLAIM_AFTER_MS, left, justid=True)
            self._unfinished = True

    def _strike_off(self) -> None:
        """Take consumers that left nothing behind out of the group's books."""
        for other in self.server.xinfo_consumers(stream.key(), stream.GROUP):
            if other["pending"] == 0 and other["idle"] > FORGOTTEN_MS:
                self.server.xgroup_delconsumer(stream.key(), stream.GROUP, other["name"])

    def _next(self, wait_ms: int) -> list[Entry]:
        """New messages, but first our own that an error or a dead consumer left behind."""
        if self._unfinished:
            if left := self._read("0"):
                return left
            self._unfinished = False
        return self._read(">", wait_ms)

    def _read(self, start: str, wait_ms: int | None = None) -> list[Entry]:
        streams: dict[Any, Any] = {stream.key(): start}
        answer: Any = self.server.xreadgroup(stream.GROUP, self.name, streams, count=BATCH, block=wait_ms)
        return answer[0][1] if answer else []

    def _receipts(self, names: Collection[str]) -> dict[str, set[str]]:
        """Consumer -> the messages that it has stored last."""
        found = Receipt.objects.filter(pk__in=names)
        return {name: set(messages) for name, messages in found.values_list("name", "messages")}

    def _store(self, messages: Sequence[Entry]) -> int:
        if not messages:
            return 0
        receipt = {"messages": [entry for entry, _ in messages]}
        with database.atomic(), patient(TIMEOUT_SECONDS):
            Receipt.objects.update_or_create(name=self.name, defaults=receipt)
            return sum(_stored(_unwritten([rows for _, rows in messages if rows])))

    def _acknowledge(self, entries: Sequence[str]) -> None:
        if entries:
            pipeline = self.server.pipeline()
            pipeline.xack(stream.key(), stream.GROUP, *entries)
            pipeline.xdel(stream.key(), *entries)
            pipeline.execute()


def _unwritten(messages: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """The messages without those whose page waited in vain for the stream's answer, and wrote them itself."""
    receipts = [receipt for each in messages if (receipt := each.get("receipt"))]
    written = set(Receipt.objects.filter(pk__in=receipts).values_list("pk", flat=True))
    return [each for each in messages if each.get("receipt") not in written] if written else messages


def _stored(messages: Sequence[Mapping[str, str]]) -> store.WriteResult:
    """Store the rows of all messages at once; where one is bad, each message by itself."""
    if not messages:
        return store.WriteResult()
    try:
        return _together(messages)
    except IntegrityError as problem:
        if store.lacks_partition(problem):
            with suppress(*NOT_READABLE):
                partitions.ensure_days({day for each in messages for day in _days(each)})
    except DataError:
        pass
    try:
        return _together(messages)
    except (IntegrityError, DataError):
        return reduce(add, map(_alone, messages), store.WriteResult())


def _together(messages: Sequence[Mapping[str, str]]) -> store.WriteResult:
    """The rows of all messages, joined as text: nobody need read them but Postgres."""
    impressions, events = (
        "[" + ",".join(each[kind][1:-1] for each in messages if each.get(kind, EMPTY) != EMPTY) + "]"
        for kind in ("impressions", "events")
    )
    return store.write_json(impressions, events)


def _alone(message: Mapping[str, str]) -> store.WriteResult:
    try:
        payloads = stream.rows_of(message)
    except NOT_READABLE as problem:
        sizes = {kind: len(text) for kind, text in message.items()}
        return store.WriteResult(failed=store_each_failed([without_content(sizes, problem)], failed=True))
    impressions, unreadable_impressions = read_each(impression_from, payloads[0])
    events, unreadable_events = read_each(event_from, payloads[1])
    failed = store_each_failed([*unreadable_impressions, *unreadable_events], failed=True)
    return store.write(events, impressions) + store.WriteResult(failed=failed)


def _days(message: Mapping[str, str]) -> set[date]:
    impressions, events = stream.rows_of(message)
    ids = [each["impression_id"] for each in impressions] + [each["event_id"] for each in events]
    return {time_of(UUID(each)).date() for each in ids}
