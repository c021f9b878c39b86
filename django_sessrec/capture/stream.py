"""The store's second backend: a Redis or Valkey stream, which accepts rows while Postgres is busy or down.

A page adds its rows in one round trip; capture.stream_consumer brings them into Postgres in thousands. Until
they are there, a session's own clicks are read from a short list beside the stream: the next page knows the
last.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from django_sessrec import database, safety
from django_sessrec.capture.breaker import Breaker, waited_in_vain
from django_sessrec.capture.event import SESSION_EVENTS, to_payload
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, Impression

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

# All of it or nothing, and one call: a pipeline of five costs the page half as much again. The answer names
# the erased sessions, whose rows the consumer drops and counts; it is nil where the stream is full.
ADD: Final = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return false end
redis.call('XADD', KEYS[1], '*', 'impressions', ARGV[2], 'events', ARGV[3], 'receipt', ARGV[6])
for n = 7, #ARGV, 2 do
    redis.call('RPUSH', KEYS[tonumber(ARGV[n])], ARGV[n + 1])
end
local erased = {}
for n = 2, #KEYS do
    if redis.call('EXISTS', KEYS[n] .. ':erased') == 1 then
        redis.call('DEL', KEYS[n])
        table.insert(erased, n)
    else
        redis.call('LTRIM', KEYS[n], -tonumber(ARGV[4]), -1)
        redis.call('EXPIRE', KEYS[n], ARGV[5])
    end
end
return erased
"""
MAY_READ: Final = "SELECT has_table_privilege(to_regclass('django_migrations'), 'SELECT')"
IDENTITY: Final = """
SELECT concat(current_database(), ' ', extract(epoch FROM min(applied))) FROM django_migrations WHERE app = %s
"""
GROUP: Final = "sessrec"
KEPT_EVENTS: Final = 100  # newest SESSION_EVENTS of a session, in a list beside the stream
KEPT_SECONDS: Final = 1_800  # by then the consumer has brought them into Postgres
ERASED_SECONDS: Final = 90_000  # an hour longer than a session's cookie is taken, which its late clicks bring
TIMEOUT_SECONDS: Final = 0.5  # of a page
HEX: Final = 32  # letters of an event's id, in a session's list

logger = logging.getLogger("django_sessrec")
broker = Breaker(5.0)  # away: pages write to Postgres themselves meanwhile
room = Breaker(1.0)  # full: the consumer is behind or down


class MissingClientError(Exception):
    """The Redis client is not installed."""


class OtherShopError(Exception):
    """The stream is filled by another shop, on the same server and with the same STREAM_KEY_PREFIX."""


class InDoubtError(Exception):
    """The server did not answer in time, and may still store the rows."""


def configured() -> bool:
    return bool(sessrec_settings.STREAM_URL)


def key() -> str:
    """The stream's key, of this shop alone where two share a server and have a prefix each."""
    return f"{sessrec_settings.STREAM_KEY_PREFIX}rows"


def connect(patience: float) -> Redis:
    """A client of the stream's server that waits `patience` seconds for an answer."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        remedy = "pip install django-sessrec[stream]"
        raise MissingClientError(f"SESSREC['STREAM_URL'] needs the client: {remedy}") from None
    return Redis.from_url(
        sessrec_settings.STREAM_URL or "",
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),  # its own one waits several times as long, and sends rows twice
        decode_responses=True,
        protocol=2,  # the one in which all versions of the client answer alike
    )


def client() -> Redis:
    """The pages' client; each process has its own connections, each thread takes one."""
    return _client(sessrec_settings.STREAM_URL, os.getpid(), TIMEOUT_SECONDS)


@cache
def _client(_url: str, _process: int, patience: float) -> Redis:
    return connect(patience)


def add(events: Sequence[Event], impressions: Sequence[Impression], receipt: str) -> Sequence[UUID] | None:
    """Add the rows; return those of their sessions that were erased lately. None where it is away or full.

    Raises InDoubtError where it does not answer: the rows may be written under the receipt meanwhile.
    """
    if room.resting or not broker.asks(TIMEOUT_SECONDS):
        return None
    started = time.monotonic()
    kept = [each for each in events if each.name in SESSION_EVENTS and not each.bot]
    rows: list[Event | Impression] = [*impressions, *events]
    visits = list({row.session_id: None for row in rows})
    list_and_event = [part for each in kept for part in (visits.index(each.session_id) + 2, _packed(each))]
    try:
        server = client()
        erased = _script(server)(
            keys=[key(), *map(_clicks_key, visits)],
            args=[
                sessrec_settings.STREAM_MAX_LENGTH, _json(impressions), _json(events),
                KEPT_EVENTS, KEPT_SECONDS, receipt, *list_and_event,
            ],
        )  # fmt: skip
    except Exception as problem:  # the client's errors share no class with a missing client's
        _gave_up(started)
        safety.warn("the stream did not take %d rows: %s", len(rows), problem)
        if _may_have_arrived(problem):
            raise InDoubtError from problem
        return None
    if erased is None:
        room.rest()
        return None
    return [visits[int(each) - 2] for each in erased]


def events_of(session_id: UUID) -> list[tuple[str, str, str, int]]:
    """The session's latest SESSION_EVENTS, oldest first: event id, name, item id and quantity."""
    if not configured() or not broker.asks(TIMEOUT_SECONDS):
        return []
    started = time.monotonic()
    try:
        found = client().lrange(_clicks_key(session_id), 0, -1)
    except Exception as problem:
        _gave_up(started)
        safety.warn("a session's events could not be read from the stream: %s", problem)
        return []
    return [_unpacked(str(each)) for each in found]


def find_out() -> None:
    """Ask a server that no page had the time to ask; for a thread for which nobody waits."""
    try:
        client().ping()
    except Exception:
        broker.rest()
    else:
        broker.resume()


def erase(session_ids: Sequence[UUID]) -> None:
    """Delete these sessions' lists and begin none anew; where the server is away, they end by themselves."""
    if not (configured() and session_ids):
        return
    started = time.monotonic()
    try:
        pipeline = client().pipeline()
        pipeline.delete(*map(_clicks_key, session_ids))
        for session_id in session_ids:
            pipeline.set(f"{_clicks_key(session_id)}:erased", 1, ex=ERASED_SECONDS)
        pipeline.execute()
    except Exception as problem:
        _gave_up(started)
        logger.warning(
            "the clicks of %d erased sessions remain in the stream's server for at most %d minutes: %s",
            len(session_ids),
            KEPT_SECONDS // 60,
            problem,
        )


def claim(server: Redis) -> None:
    """Make the stream this database's; OtherShopError where it is another's already."""
    if identity := _database_identity():
        server.set(_owner_key(), identity, nx=True)
    if is_of_another_shop(server):
        raise OtherShopError(
            f"the stream {key()!r} is another database's, and its visitors would be stored here: give this"
            " shop a STREAM_KEY_PREFIX. If the database is the same under another name, or was made anew,"
            f" delete the key {_owner_key()!r}"
        )


def is_of_another_shop(server: Redis) -> bool:
    """Whether a consumer of another database came first; raises what the clients of both servers raise."""
    owner, identity = server.get(_owner_key()), _database_identity()
    return owner is not None and identity is not None and owner != identity


class Backlog(NamedTuple):
    """Messages waiting for the consumer or in flight."""

    messages: int
    seconds: float  # since the oldest was added


def backlog() -> Backlog:
    """What waits now; raises what the client raises."""
    pipeline = client().pipeline(transaction=False)
    pipeline.xlen(key())
    pipeline.xrange(key(), count=1)
    messages, oldest = pipeline.execute()
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
    return f"{sessrec_settings.STREAM_KEY_PREFIX}clicks:{session_id}"


def _owner_key() -> str:
    return f"{sessrec_settings.STREAM_KEY_PREFIX}owner"


def _database_identity() -> str | None:
    """The same after a restore, a fail-over and an upgrade of the server; another for each shop and copy.

    None where this role may not read the migrations.
    """
    with database.connection().cursor() as cursor:
        cursor.execute(MAY_READ)
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(IDENTITY, [database.APP_LABEL])
        [made] = cursor.fetchone()
    return blake2b(made.encode(), digest_size=16).hexdigest()


def _gave_up(started: float) -> None:
    broker.rest()
    waited_in_vain(time.monotonic() - started)


def _may_have_arrived(problem: Exception) -> bool:
    """Whether the server may carry out what it was sent: it was reached, and then silent or gone."""
    try:
        from redis.exceptions import ConnectionError as ClientError
        from redis.exceptions import TimeoutError as ClientTimeout
    except ImportError:
        return False
    return isinstance(problem, ClientError | ClientTimeout) and "connecting to" not in str(problem)
