"""The training window: how far back a model may read, so that no click outlives RETENTION_DAYS in it.

A neighbour model holds the click sequences that it was fitted on, without any id. It serves until the next
training run, so its window ends the `headroom` before the limit, and what serves is retrained when half of
the headroom is gone.
"""

from __future__ import annotations

from datetime import timedelta

from django_sessrec.conf import sessrec_settings

HEADROOM = timedelta(days=7)  # a worker that is down over a weekend costs no model


def headroom(model: str) -> timedelta:
    """From the end of a training run until the oldest click in its model reaches RETENTION_DAYS.

    HEADROOM, or two intervals of training runs where longer; at most a quarter of RETENTION_DAYS.
    Zero without a limit.
    """
    limit = sessrec_settings.RETENTION_DAYS
    if limit is None:
        return timedelta()
    two_trainings = timedelta(hours=2 * sessrec_settings.model(model)["EVERY_HOURS"])
    return min(max(two_trainings, HEADROOM), timedelta(days=limit) / 4)


def window(model: str) -> timedelta:
    """The clicks that a training run of the model reads: TRAINING_WINDOW_DAYS, less near RETENTION_DAYS."""
    wanted = timedelta(days=sessrec_settings.model(model)["TRAINING_WINDOW_DAYS"])
    limit = sessrec_settings.RETENTION_DAYS
    return wanted if limit is None else min(wanted, timedelta(days=limit) - headroom(model))
