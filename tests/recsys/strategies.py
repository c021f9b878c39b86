"""Small session logs for hypothesis: few items, so that sessions meet, repeat and tie."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

N_ITEMS = 8
ROWS = st.integers(1, N_ITEMS)
SESSIONS = st.lists(ROWS, min_size=1, max_size=12)


def log_of(sessions: list[list[int]], seconds_between: int = 3_600, n_items: int = N_ITEMS) -> SessionLog:
    """These sessions of rows, one every so many seconds, all clicks of a session at one time."""
    session = np.repeat(np.arange(len(sessions)), [len(clicks) for clicks in sessions])
    rows = np.array([row for clicks in sessions for row in clicks], np.int32)
    index = ItemIndex([f"item-{row}" for row in range(1, n_items + 1)])
    return SessionLog.from_rows(session, rows, session * seconds_between, index)


LOGS = st.builds(
    log_of, st.lists(SESSIONS, min_size=1, max_size=15), st.sampled_from([0, 3_600, 40 * 86_400])
)
