"""The admin's pages: trainings, what serves, what was captured, and what it earned."""

from django_sessrec.admin import (  # noqa: F401
    events,
    health,
    quarantine,
    report,
    runs,
)
