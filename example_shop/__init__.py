"""Fjord & Fern: a shop that a person would believe, and django_sessrec at work in it."""
