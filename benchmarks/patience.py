"""Pages that are measured in this process do all their work: one that gave up would be a figure of less."""

from __future__ import annotations

SECONDS = 60  # far more than anything takes here, so that a wait without end is still found


def be_patient() -> None:
    """Have this process's pages wait for the database and the stream however busy the machine is."""
    from django_sessrec.capture import breaker, deadlines, fast_query, stream

    for module in (deadlines, fast_query, stream):
        module.TIMEOUT_SECONDS = SECONDS
    breaker.MAX_WAIT_SECONDS = 2 * SECONDS
