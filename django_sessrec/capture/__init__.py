"""Capture: which clicks count, and how they get into Postgres without the page noticing."""
