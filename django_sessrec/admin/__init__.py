"""The admin's pages: training runs, promotions, captured events and the report."""

from django_sessrec.admin import (  # noqa: F401
    audit,
    events,
    experiments,
    health,
    inspector,
    placements,
    quarantine,
    report,
    runs,
)
