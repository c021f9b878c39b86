"""The admin's pages: trainings, what serves, what was captured, and what it earned."""

from django_sessrec.admin import captured, health, report, runs  # noqa: F401
