"""What was sent, held against what the tables hold."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from benchmarks.chaos.sent import Happened, Sent

BY_SCRIPTS = "add_to_wishlist"  # no other event of these visits comes from one
STORED = (
    "SELECT session_id::text, name, item_id, count(*) FROM sessrec_event WHERE name <> %s GROUP BY 1, 2, 3"
)
TOLD = "SELECT event_id FROM sessrec_event WHERE name = %s"
SHOWN = "SELECT impression_id FROM sessrec_impression"
REFUSED = "SELECT payload->>'event_id', count(*) FROM sessrec_failedevent WHERE code = 'name' GROUP BY 1"
OF_THE_DATABASE = "SELECT payload FROM sessrec_failedevent WHERE code IN ('database', 'unwritable')"


class Rows(NamedTuple):
    """What tables hold of the visits: events of pages, and the ids of scripts' events and of impressions."""

    happened: Counter[Happened]
    ids: set[UUID]


@dataclass(frozen=True)
class Tally:
    """sent = stored + duplicate + failed + refused + refused_lost + lost."""

    sent: int
    stored: int
    duplicate: int
    failed: int
    refused: int
    refused_lost: int  # answered as refused, and the note of it died with a web process
    lost: int  # answered as accepted
    in_flight_killed: int  # requests without an answer: what they would have left is in none of the above
    stored_twice: int  # rows that nobody sent, not even in a request without an answer
    http_5xx: int
    pages: int
    slow_pages: list[str]  # slower than two seconds while every program was there, and what took so long
    slow_in_new_processes: list[str]  # the same where the web process had answered no page yet
    slow_in_faults: int
    slowest_seconds: float


def tally(sent: Sent, database: str) -> Tally:
    """Count in the database of this URL."""
    with psycopg.connect(database) as connection:
        happened = Counter({tuple(key): n for *key, n in connection.execute(STORED, [BY_SCRIPTS])})
        ids = {row_id for (row_id,) in connection.execute(TOLD, [BY_SCRIPTS])}
        ids |= {row_id for (row_id,) in connection.execute(SHOWN)}
        failed = _failed([payload for (payload,) in connection.execute(OF_THE_DATABASE)])
        kept = Counter(dict(connection.execute(REFUSED)))
    return compared(sent, Rows(happened, ids), failed, kept)


def _failed(payloads: list[dict[str, Any]]) -> Rows:
    """The rows that the database refused, by their payloads."""
    events = [each for each in payloads if "event_id" in each]
    return Rows(
        Counter(
            (each["session_id"], each["name"], each["item_id"])
            for each in events
            if each["name"] != BY_SCRIPTS
        ),
        {UUID(each["event_id"] if "event_id" in each else each["impression_id"]) for each in payloads},
    )


def compared(sent: Sent, stored: Rows, failed: Rows, kept: Counter[str]) -> Tally:
    """What became of all that was sent; of requests without an answer nothing is counted.

    kept: how many notes there are of each refused event, by its id
    """
    sent_ids = sent.told.keys() | sent.impressions
    found = (sent.answered & stored.happened).total() + len(sent_ids & stored.ids)
    not_stored = sent.answered - stored.happened
    of_failed = (not_stored & failed.happened).total() + len((sent_ids - stored.ids) & failed.ids)
    refused = (sent.refused & kept).total()
    duplicate = sum(times - 1 for times in sent.told.values())
    visits = {session_id for session_id, _, _ in sent.answered}
    beyond = stored.happened - sent.answered - sent.unanswered
    return Tally(
        sent=sent.rows,
        stored=found,
        duplicate=duplicate,
        failed=of_failed,
        refused=refused,
        refused_lost=sent.refused.total() - refused,
        lost=sent.rows - sent.refused.total() - found - duplicate - of_failed,
        in_flight_killed=sent.requests_unanswered,
        stored_twice=sum(n for (session_id, _, _), n in beyond.items() if session_id in visits),
        http_5xx=sent.server_errors,
        pages=sent.pages,
        slow_pages=sent.slow_pages,
        slow_in_new_processes=sent.slow_in_new_processes,
        slow_in_faults=sent.slow_in_faults,
        slowest_seconds=round(sent.slowest, 2),
    )
