"""The outbox: a page's rows go to Postgres, else to a retrying task, else into memory; nothing raises."""

from __future__ import annotations

import atexit
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import DataError, Error, IntegrityError
from django.utils.module_loading import import_string

from django_sessrec import database, safety
from django_sessrec.capture import erasure, failed_events, prepared, store, stream
from django_sessrec.capture.breaker import Breaker, forgive, waited_in_vain
from django_sessrec.capture.buffers import Buffer, RecentWrites, Rejected
from django_sessrec.capture.event import event_from, impression_from, to_payload
from django_sessrec.capture.fast_query import bounded, call_with_deadline, database_breaker, server_epoch
from django_sessrec.capture.keeper import Keeper
from django_sessrec.capture.rows import Rows
from django_sessrec.capture.sensitive import sensitive_among
from django_sessrec.capture.store import Message, WriteResult
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, Impression, Receipt

# By their paths: the tasks stand above this room.
PUBLISH: Final = "django_sessrec.tasks.publish"
BROKER: Final = "django_sessrec.tasks.broker"
WRITE_TASK: Final = "write_later"
ERASE_TASK: Final = "erase_later"

BROKER_SECONDS: Final = 0.6  # that a hung broker may cost a page: two tries of tasks.BROKER_TIMEOUT each
FLUSH_SECONDS: Final = 0.05  # of a page's time, after an outage
LOOK_SECONDS: Final = 1.0  # of the keeper's
CLOSE_SECONDS: Final = 2.0  # of a process's end
TRY_AGAIN_SECONDS: Final = 0.1  # at its end
FLUSH_ROWS: Final = 100  # of one statement, so that the limit above is met: 4 ms
HANDED_OVER: Final = 5  # messages that a page brings to the broker beside its own
MAX_ERASURES: Final = 10_000  # sessions
# A commit that waits for the disk only because it adds to Postgres' log, which is written in order: what was
# committed before is then on the disk, too.
SYNC: Final = "pg_logical_emit_message(true, 'sessrec', '')::text"

logger = logging.getLogger("django_sessrec")


class Outbox:
    """The rows of one process that Postgres has not confirmed. Threads share it."""

    def __init__(self) -> None:
        self.keeper = Keeper(self.look_after)
        self._forget()

    def _forget(self) -> None:
        self.unsent: Buffer[Message] = Buffer()  # what neither database nor broker took
        self.in_flight: Buffer[Message] = Buffer()  # Redis forgets a message while a worker fetches it
        self.rejected: Buffer[Rejected] = Buffer()
        self.rejected_unkept = 0  # beyond the buffer: to be counted, at least
        self.unkept = 0  # rows beyond the buffer, until their loss is logged
        self.recent = RecentWrites()
        self.erasures: dict[UUID, bool] = {}  # sessions to erase: does a task know as well?
        self.broker = Breaker(5.0)  # Celery's
        self._erasing = Breaker(1.0)
        # What this process did with its rows, for tests; what became of them is in the ledger.
        self.counts: Counter[str] = Counter()

    def reset(self) -> None:
        """Forget everything, what services did not answer included: for tests."""
        self._forget()
        for breaker in (database_breaker, stream.broker, stream.room):
            breaker.resume()
        forgive()
        prepared.reset()
        safety.forget()

    def close(self) -> None:
        """More tries at the process's end, and a word about what is lost with it."""
        self.keeper.end(CLOSE_SECONDS)
        deadline = time.monotonic() + CLOSE_SECONDS
        while self.unsent or self.rejected or self.recent or self._untold():
            with database.outside_pool():
                self._bring_away(deadline)
            if time.monotonic() > deadline - TRY_AGAIN_SECONDS:
                break
            time.sleep(TRY_AGAIN_SECONDS)
        for session_id in self._untold():
            _ask_for_hands(session_id)
        if lost := self.unsent.rows + self.rejected.rows + self.unkept:
            logger.error("%d rows are lost with this process: neither database nor broker took them", lost)

    def _bring_away(self, deadline: float) -> None:
        """Give what is nowhere else to the database, else to the broker."""
        for breaker in (database_breaker, self.broker, self._erasing):
            breaker.resume()
        forgive()
        if self.recent:
            self._ask_for_recent()
        self.flush(deadline - time.monotonic())
        forgive()  # the broker is asked however long the database took
        while (waiting := self._untold()) and time.monotonic() < deadline:
            self._erase(waiting[:FLUSH_ROWS])
            if len(self._untold()) == len(waiting):
                break
        while (message := self.unsent.take(1)) and self._publish_message(message[0]):
            pass
        self.unsent.put_back(message)

    def deliver(self, events: Sequence[Event], impressions: Sequence[Impression] = ()) -> WriteResult | None:
        """Store the rows now, or have them stored later (None); the stream tells of withdrawn ones too."""
        rows: list[Event | Impression] = [*impressions, *events]
        if not stream.configured():
            return self._write(events, impressions)
        receipt = str(uuid7())
        try:
            erased = stream.add(events, impressions, receipt)
        except stream.InDoubtError:  # it may have the rows all the same; its consumer knows the receipt
            return self._write_once(Message(receipt, rows, resend=True))
        if erased is None:
            return self._write(events, impressions)
        self.counts["streamed"] += len(rows)
        self.flush()
        return WriteResult(withdrawn=sum(row.session_id in erased for row in rows)) if erased else None

    def flush(self, seconds: float | None = None) -> None:
        """Write FLUSH_ROWS of what is kept, now that a server answers, and more while `seconds` last."""
        if not self._keeps() or database_breaker.resting:
            return
        deadline = time.monotonic() + (FLUSH_SECONDS if seconds is None else seconds)
        if self.erasures and not self._erasing.resting:
            self._erase([*self.erasures][:FLUSH_ROWS], wait_seconds=0.0)
        while self._flush_some() and time.monotonic() < deadline:
            pass

    def look_after(self) -> bool:
        """Be rid of what is kept though no page comes, and hear of a crash; whether something is left."""
        self._find_out()
        if self.recent.unasked and not database_breaker.resting:
            self._ask_for_recent()
        self.flush(LOOK_SECONDS)
        if self.unsent and database_breaker.resting:
            self._hand_over()
        return bool(self._keeps() or self.recent)

    def _find_out(self) -> None:
        """Ask the servers that no page had the time to ask."""
        if stream.broker.unasked:
            stream.find_out()
        if not self.broker.unasked:
            return
        try:
            import_string(BROKER)().ask()
        except Exception:
            self.broker.rest()
            return
        self.broker.resume()

    def _keeps(self) -> bool:
        """Whether there is something that the database should have."""
        messages = self.unsent or self.in_flight
        return bool(messages or self.rejected or self.rejected_unkept or self.unkept or self.erasures)

    def _flush_some(self) -> bool:
        """Write FLUSH_ROWS of what is kept; whether more is worth trying now."""
        buffer = self.unsent or self.in_flight
        if messages := buffer.take(FLUSH_ROWS):
            if not (written := self._write_messages(messages)):
                buffer.put_back(messages)
            return written
        rejected = self.rejected.take(FLUSH_ROWS)
        unkept, self.rejected_unkept = self.rejected_unkept, 0
        try:
            store.tally(refused=unkept)
            unkept = 0
            failed_events.store_each_failed(rejected)
        except Error:
            self.rejected.put_back(rejected)
            self.rejected_unkept += unkept
            return False
        lost, self.unkept = self.unkept, 0
        if lost:
            logger.error(
                "%d rows are lost: memory was full while neither database nor broker took them", lost
            )
        return bool(self.rejected)

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keep wrong input as failed events, now or once the database is back; none of a sensitive item."""
        sensitive = sensitive_among({item_id for each in rejected if (item_id := each.item_id)})
        rejected = [each for each in rejected if each.item_id not in sensitive]
        if not rejected:
            return
        try:
            failed_events.store_each_failed(rejected)
        except Error as problem:
            safety.warn("%d refused events could not be kept yet: %s", len(rejected), problem)
            if unkept := self.rejected.add(rejected):
                self.rejected_unkept += unkept
                safety.warn("%d refused events are counted, and not kept: no room in memory", unkept)
            self.keeper.wake()

    def erase(self, session_id: UUID) -> None:
        """Erase the session now, or have it erased once the database is back."""
        self.erasures.setdefault(session_id, False)  # first: nothing that fails later may lose it
        for buffer in (self.unsent, self.in_flight, self.rejected, self.recent):
            buffer.drop(session_id)
        self._erase([*dict.fromkeys([session_id, *self.erasures])][:FLUSH_ROWS])
        if self.erasures:
            self.keeper.wake()

    def _write(self, events: Sequence[Event], impressions: Sequence[Impression]) -> WriteResult | None:
        rows: list[Event | Impression] = [*impressions, *events]
        try:
            written = store.write(events, impressions)
        except Error as problem:
            safety.warn("%d rows could not be written: %s", len(rows), problem)
            return self._defer(Message(str(uuid7()), rows, getattr(problem, "in_doubt", False)))
        self.counts.update(written._asdict())
        self._remember(rows)
        self.flush()
        return written

    def _write_once(self, message: Message) -> WriteResult | None:
        if not self._write_messages([message]):
            return self._defer(message)
        self.flush()
        return None

    def _write_messages(self, messages: Sequence[Message]) -> bool:
        """Whether the database has them now, or never will."""
        try:
            store.write_messages(messages)
        except (DataError, IntegrityError):
            if len(messages) > 1:
                return all(self._write_messages([each]) for each in messages)
            return self._write_apart(messages[0])
        except Error as problem:
            safety.warn("%d messages could not be written: %s", len(messages), problem)
            return False
        self._remember([row for message in messages for row in message.rows])
        return True

    def _write_apart(self, message: Message) -> bool:
        """A message with a row that Postgres refuses: as its task does it."""
        try:
            with bounded():
                redeliver(message)
        except Error as problem:
            safety.warn("%d rows could not be written: %s", len(message.rows), problem)
            return False
        return True

    def _remember(self, rows: Rows) -> None:
        """Keep in mind what a crash may take back, and send again what one has."""
        epoch = server_epoch()
        if epoch is None:
            return  # theirs, with their transaction's commit
        risked = self.recent.at_risk(epoch)
        self.recent.remember(rows, epoch)
        self._send_again(risked)
        self.keeper.wake()

    def _ask_for_recent(self) -> None:
        """Have the disk take the rows of the last moments, and send again what a crash took before that."""
        started = time.monotonic()
        try:
            call_with_deadline(SYNC, durable=True)
        except Error as problem:
            safety.warn(
                "%d rows were written, and the disk may not have them yet: %s", self.recent.rows, problem
            )
            return
        self._send_again(self.recent.at_risk(server_epoch()))
        self.recent.confirm(until=started)

    def _send_again(self, risked: Rows) -> None:
        """Keep what a crash may have taken back until it is flushed."""
        for start in range(0, len(risked), FLUSH_ROWS):
            message = Message(str(uuid7()), risked[start : start + FLUSH_ROWS], resend=True)
            if unkept := self.unsent.add([message]):
                self.counts["unconfirmed"] += unkept
                self.unkept += unkept
                safety.warn("%d rows may be lost: Postgres has crashed, and memory has no room", unkept)

    def _defer(self, message: Message) -> WriteResult | None:
        """Hand the rows to a task, or keep them (None)."""
        self.keeper.wake()
        rows = len(message.rows)
        if self._publish_message(message):
            self.in_flight.add([message])  # where there is no room, the broker has it
            self.counts["deferred"] += rows
            self._hand_over()
            return None
        unkept = self.unsent.add([message])
        if self.broker.unasked or stream.broker.unasked:
            self.keeper.hurry()
        self.counts["held"] += rows - unkept
        if not unkept:
            return None
        self.unkept += unkept
        # In doubt is not lost: it may be what Postgres has stored and could not say.
        self.counts["unconfirmed" if message.resend else "lost"] += unkept
        state = "may be" if message.resend else "are"
        safety.warn("%d rows %s lost: neither database nor broker has taken any for long", unkept, state)
        return WriteResult(lost=unkept)

    def _hand_over(self) -> None:
        """Bring some of the rows in memory to the broker, which answers."""
        for _ in range(HANDED_OVER):
            if not (messages := self.unsent.take(1)):
                return
            if not self._publish_message(messages[0]):
                self.unsent.put_back(messages)
                return
            self.in_flight.add(messages)

    def _publish_message(self, message: Message) -> bool:
        return self.publish(
            WRITE_TASK,
            task_id=message.receipt,
            events=[to_payload(row) for row in message.rows if isinstance(row, Event)],
            impressions=[to_payload(row) for row in message.rows if isinstance(row, Impression)],
            resend=message.resend,
        )

    def publish(self, task: str, task_id: str | None = None, **kwargs: Any) -> bool:
        """Hand the work to a task that retries; whether the broker took it."""
        if not self.broker.asks(BROKER_SECONDS):
            return False
        started = time.monotonic()
        try:
            import_string(PUBLISH)(task, task_id, kwargs)
        except Exception as problem:  # the broker's client may raise anything
            self.broker.rest()
            waited_in_vain(time.monotonic() - started)
            safety.warn("the broker did not take %s: %s: %s", task, type(problem).__name__, problem)
            return False
        return True

    def _untold(self) -> list[UUID]:
        """The sessions to erase that no task knows of."""
        return [each for each, told in [*self.erasures.items()] if not told]

    def _erase(self, waiting: Sequence[UUID], wait_seconds: float = erasure.WAIT_SECONDS) -> None:
        """Erase these of the sessions that wait: now, and by a task as well where that is not possible."""
        done = withdrawn = False
        try:
            done = not erasure.erase_sessions(waiting, wait_seconds=wait_seconds).unfinished
            withdrawn = True
        except Error as problem:
            safety.warn("%d sessions could not be erased: %s", len(waiting), problem)
        if withdrawn and not done:
            self._erasing.rest()
        for each in waiting:
            told = done or self.erasures.get(each) or self.publish(ERASE_TASK, session_id=str(each))
            self.erasures[each] = bool(told)
            if done or (withdrawn and told):
                self.erasures.pop(each, None)
        while len(self.erasures) > MAX_ERASURES:
            lost = next(iter(self.erasures))
            if not self.erasures.pop(lost):
                _ask_for_hands(lost)


def _ask_for_hands(session_id: UUID) -> None:
    """Say which session this process could not have erased: each of them, so not by safety.warn."""
    logger.error("a session must be erased by hand: manage.py sessrec_erase %s", session_id)


def redeliver(message: Message, unreadable: Sequence[failed_events.Reasoned] = ()) -> None:
    """Store the message, once however often it is brought; a row that Postgres refuses costs no other one.

    Raises django.db.Error while the store is down.

    unreadable: what message_from could not read, to be kept as failed events
    """
    with database.atomic():
        _, first = Receipt.objects.get_or_create(name=message.receipt)
        if first:
            events = [row for row in message.rows if isinstance(row, Event)]
            impressions = [row for row in message.rows if isinstance(row, Impression)]
            failed_events.store_each_failed(unreadable, failed=True)
            outbox.counts.update(store.write(events, impressions, resend=message.resend)._asdict())


def message_from(
    receipt: str,
    events: Sequence[Mapping[str, Any]],
    impressions: Sequence[Mapping[str, Any]],
    *,
    resend: bool,
) -> tuple[Message, list[failed_events.Reasoned]]:
    """The message that a task was given, and what can't be read of it, as another version's rows may be."""
    shown, unreadable_impressions = failed_events.read_each(impression_from, impressions)
    happened, unreadable_events = failed_events.read_each(event_from, events)
    return Message(receipt, [*shown, *happened], resend), [*unreadable_impressions, *unreadable_events]


outbox = Outbox()
atexit.register(outbox.close)
