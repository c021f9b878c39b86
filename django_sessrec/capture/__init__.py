"""Capture: which clicks count, and their way into Postgres without slowing the page."""
