"""What was sent, held against what the tables hold."""

from collections import Counter
from dataclasses import dataclass

import psycopg

from benchmarks.chaos.sent import Sent

BY_SCRIPTS = "add_to_wishlist"  # no other event of these visits comes from one
STORED = (
    "SELECT session_id::text, name, item_id, count(*) FROM sessrec_event WHERE name <> %s GROUP BY 1, 2, 3"
)
TOLD = "SELECT event_id FROM sessrec_event WHERE name = %s"
SHOWN = "SELECT impression_id FROM sessrec_impression"
REFUSED = "SELECT payload->>'event_id', count(*) FROM sessrec_failedevent WHERE code = 'name' GROUP BY 1"
FAILED = "SELECT count(*) FROM sessrec_failedevent WHERE code IN ('unwritable', 'refused')"  # by the database


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
        stored = Counter({tuple(key): n for *key, n in connection.execute(STORED, [BY_SCRIPTS])})
        told = {event_id for (event_id,) in connection.execute(TOLD, [BY_SCRIPTS])}
        shown = {impression_id for (impression_id,) in connection.execute(SHOWN)}
        kept = Counter(dict(connection.execute(REFUSED)))
        [(failed,)] = connection.execute(FAILED)
    answered = sent.answered & stored
    found = answered.total() + len(sent.told.keys() & told) + len(sent.impressions & shown)
    refused = (sent.refused & kept).total()
    duplicate = sum(times - 1 for times in sent.told.values())
    visits = {session_id for session_id, _, _ in sent.answered}
    beyond = stored - sent.answered - sent.unanswered
    return Tally(
        sent=sent.rows,
        stored=found,
        duplicate=duplicate,
        failed=failed,
        refused=refused,
        refused_lost=sent.refused.total() - refused,
        lost=sent.rows - sent.refused.total() - found - duplicate - failed,
        in_flight_killed=sent.requests_unanswered,
        stored_twice=sum(n for (session_id, _, _), n in beyond.items() if session_id in visits),
        http_5xx=sent.server_errors,
        pages=sent.pages,
        slow_pages=sent.slow_pages,
        slow_in_new_processes=sent.slow_in_new_processes,
        slow_in_faults=sent.slow_in_faults,
        slowest_seconds=round(sent.slowest, 2),
    )
