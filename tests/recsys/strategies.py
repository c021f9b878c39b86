"""Small session logs for hypothesis: few items, so that sessions meet, repeat and tie."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.sessions import SessionLog

N_ITEMS = 8
ROWS = st.integers(1, N_ITEMS)
SESSIONS = st.lists(ROWS, min_size=1, max_size=12)


def log_of(
    sessions: list[list[int]],
    seconds_between: int = 3_600,
    n_items: int = N_ITEMS,
    weights: list[float] | None = None,
) -> SessionLog:
    """These sessions of rows, one every so many seconds, all clicks of a session at one time.

    weights: of the clicks on row 1, 2, ...
    """
    session = np.repeat(np.arange(len(sessions)), [len(clicks) for clicks in sessions])
    rows = np.array([row for clicks in sessions for row in clicks], np.int32)
    index = ItemIndex([f"item-{row}" for row in range(1, n_items + 1)])
    of_clicks = None if weights is None else np.array([0, *weights])[rows]
    return SessionLog.from_rows(session, rows, session * seconds_between, index, of_clicks)


LOGS = st.builds(
    log_of,
    st.lists(SESSIONS, min_size=1, max_size=15),
    st.sampled_from([0, 3_600, 40 * 86_400]),
    weights=st.none() | st.lists(st.sampled_from([0.0, 0.5, 1.0, 4.0]), min_size=N_ITEMS, max_size=N_ITEMS),
)
