"""Fjord & Fern: a shop that a person would believe, and django_sessrec at work in it."""

from example_shop.celery import app as celery_app

__all__ = ["celery_app"]
