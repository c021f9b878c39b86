"""The admin's pages: trainings, what serves, what was captured, and what it earned."""

from django_sessrec.admin import abuse, captured, health, report, runs  # noqa: F401
