"""The ranker's features by name, in the order of their columns: stated here for Python and for C.

Plain Python without imports: `hatch_build.py` runs this file where NumPy is not, and writes what `header`
returns to features.h, which candidate_features.c includes.
"""

CANDIDATES = 100
"""Rows that are described for one session, at most."""

NEIGHBOUR_MODELS = ("long", "short", "last_click")
"""The neighbour models that propose candidates, as recsys.candidate_features configures them."""

CLOSE_CLICKS = ("last", "second", "third")
"""The newest distinct clicks of the session that have features of their own, newest first."""

CO_CLICKS = ("previous", "after", "before", "rate")
"""What is counted between a candidate and one close click."""

ITEM_FEATURES = ("count", "count_30_days", "count_7_days", "last_seen", "repeat_rate")
"""What does not depend on the session: log sessions with the item in all and of the last days, log days since
the newest, log share of its sessions that clicked it again."""

FEATURES = (
    *(f"share_{model}" for model in NEIGHBOUR_MODELS),  # log share of the model's votes
    "against_best",  # votes of the first neighbour model, as a share of its best item's
    *(f"{name}_{click}" for click in CLOSE_CLICKS for name in CO_CLICKS),
    "next_last",  # co-clicks straight after the last click
    "next_rate",  # share of the sessions with the last click that went on to this item
    "together_lately",  # sessions of the last 14 days with both
    "since_together",  # log days since the newest session with both
    "older_co_clicks",  # co-clicks with the clicks before the third
    "back_rate",  # share of the item's sessions in which the last click stands
    *ITEM_FEATURES,
    *("occurrences", "nearness", "first_nearness", "is_clicked"),  # of the item in the session
    *("length", "distinct"),  # of the session itself
    *("returns", "last_returned"),  # share of its clicks that went back; whether the last one did
    *("network", "network_against_best"),  # log probability, and how far below the best
    *(f"cosine_{click}" for click in CLOSE_CLICKS),  # of the network's item vectors
    "best_cosine",
)
"""The columns of what the kernel writes."""


def header() -> str:
    """The C enums of these names: each feature its column, each list its length."""
    lengths = {
        "CANDIDATES": CANDIDATES,
        "NEIGHBOUR_MODELS": len(NEIGHBOUR_MODELS),
        "CLOSE_CLICKS": len(CLOSE_CLICKS),
        "ITEM_FEATURES": len(ITEM_FEATURES),
    }
    enums = (
        [f"{name} = {length}" for name, length in lengths.items()],
        [*map(str.upper, CO_CLICKS), "CO_CLICKS"],
        [*map(str.upper, FEATURES), "FEATURES"],
    )
    lines = (f"enum {{ {', '.join(names)} }};" for names in enums)
    return "\n".join(("/* Written by hatch_build.py from features.py. */", *lines, ""))
