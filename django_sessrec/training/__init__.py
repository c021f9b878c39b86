"""Training: from events in Postgres to a tested model that serves, and back to the one before."""
