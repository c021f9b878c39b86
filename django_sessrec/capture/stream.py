"""The store's second backend: a stream of Redis or Valkey, which takes rows while Postgres is busy or away.

A page adds its rows in one round trip; capture.consumer brings them into Postgres in thousands. Until they
are there, a visit's own clicks are read from a short list beside the stream: the next page knows the last.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from django_sessrec.capture.breaker import Breaker
from django_sessrec.capture.event import SESSION_EVENTS, to_payload
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, Impression

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

# All of it or nothing, and one call: a pipeline of five costs the page half as much again.
ADD: Final = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'impressions', ARGV[2], 'events', ARGV[3])
for n = 6, #ARGV, 2 do redis.call('RPUSH', KEYS[tonumber(ARGV[n])], ARGV[n + 1]) end
for n = 2, #KEYS do
    redis.call('LTRIM', KEYS[n], -tonumber(ARGV[4]), -1)
    redis.call('EXPIRE', KEYS[n], ARGV[5])
end
return 1
"""
KEY: Final = "sessrec:rows"
GROUP: Final = "sessrec"
KEPT_EVENTS: Final = 100  # newest SESSION_EVENTS of a session, in a list beside the stream
KEPT_SECONDS: Final = 1_800  # by then the consumer has brought them into Postgres
PATIENCE: Final = 0.5  # seconds that a page waits
HEX: Final = 32  # letters of an event's id, in a session's list

logger = logging.getLogger("django_sessrec")
broker = Breaker(5.0)  # away: pages write to Postgres themselves meanwhile
room = Breaker(1.0)  # full: the consumer is behind or down


class MissingClientError(Exception):
    """The Redis client is not installed."""


def configured() -> bool:
    return bool(sessrec_settings.STREAM_URL)


def connect(patience: float) -> Redis:
    """A client of the stream's server that waits `patience` seconds for an answer."""
    try:
        from redis import Redis
    except ImportError:
        remedy = "pip install django-sessrec[stream]"
        raise MissingClientError(f"SESSREC['STREAM_URL'] needs the client: {remedy}") from None
    return Redis.from_url(
        sessrec_settings.STREAM_URL,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        decode_responses=True,
        protocol=2,  # the one in which all versions of the client answer alike
    )


def client() -> Redis:
    """The pages' client; each process has its own connections, each thread takes one."""
    return _client(sessrec_settings.STREAM_URL, os.getpid())


@cache
def _client(_url: str, _process: int) -> Redis:
    return connect(PATIENCE)


def add(events: Sequence[Event], impressions: Sequence[Impression]) -> bool:
    """Whether the stream has taken the rows; False, with nothing raised, where it is away or full."""
    if broker.resting or room.resting:
        return False
    kept = [each for each in events if each.name in SESSION_EVENTS and not each.bot]
    visits = list({each.session_id: None for each in kept})
    list_and_event = [part for each in kept for part in (visits.index(each.session_id) + 2, _packed(each))]
    try:
        server = client()
        taken = _script(server)(
            keys=[KEY, *map(_clicks_key, visits)],
            args=[
                sessrec_settings.STREAM_MAX_LENGTH, _json(impressions), _json(events),
                KEPT_EVENTS, KEPT_SECONDS, *list_and_event,
            ],
        )  # fmt: skip
    except Exception as problem:  # the client's errors share no class with a missing client's
        broker.rest()
        logger.warning("%s did not take %d rows: %s", KEY, len(events) + len(impressions), problem)
        return False
    if not taken:
        room.rest()
    return bool(taken)


def events_of(session_id: UUID) -> list[tuple[str, str, str, int]]:
    """The session's latest SESSION_EVENTS, oldest first: event id, name, item id and quantity."""
    if not configured() or broker.resting:
        return []
    try:
        found = client().lrange(_clicks_key(session_id), 0, -1)
    except Exception as problem:
        broker.rest()
        logger.warning("a visit's clicks could not be read from the stream's server: %s", problem)
        return []
    return [_unpacked(each) for each in found]


def forget(session_ids: Sequence[UUID]) -> None:
    """Delete these visits' lists; where the server is away, they end by themselves."""
    if not (configured() and session_ids):
        return
    try:
        client().delete(*map(_clicks_key, session_ids))
    except Exception as problem:
        logger.warning(
            "the clicks of %d erased visits stay in the stream's server for %d minutes at most: %s",
            len(session_ids),
            KEPT_SECONDS // 60,
            problem,
        )


class Backlog(NamedTuple):
    """What waits for the consumer or is in its hands."""

    messages: int
    seconds: float  # since the oldest was added


def backlog() -> Backlog:
    """What waits now; raises what the client raises."""
    pipeline = client().pipeline(transaction=False)
    messages, oldest = pipeline.xlen(KEY).xrange(KEY, count=1).execute()
    added = [int(entry.partition("-")[0]) / 1000 for entry, _ in oldest]
    return Backlog(messages, max(0.0, time.time() - added[0]) if added else 0.0)


def rows_of(message: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The payloads of impressions and of events in a message; ValueError where it is none."""
    impressions, events = (json.loads(message.get(kind, "[]")) for kind in ("impressions", "events"))
    return impressions, events


def _json(rows: Sequence[Event | Impression]) -> str:
    return json.dumps([to_payload(row) for row in rows])


@cache
def _script(server: Redis) -> Script:
    return server.register_script(ADD)


def _packed(event: Event) -> str:
    return f"{event.event_id.hex}{event.name} {event.quantity} {event.item_id}"


def _unpacked(text: str) -> tuple[str, str, str, int]:
    name, quantity, item_id = text[HEX:].split(" ", 2)
    return str(UUID(text[:HEX])), name, item_id, int(quantity)


def _clicks_key(session_id: UUID) -> str:
    return f"sessrec:clicks:{session_id}"
