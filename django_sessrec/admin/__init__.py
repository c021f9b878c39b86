"""The admin's pages: trainings, what serves, what was captured, and what it earned."""

from django_sessrec.admin import (  # noqa: F401
    audit,
    events,
    health,
    quarantine,
    report,
    runs,
)
