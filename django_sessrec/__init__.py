"""Session-based recommendations for Django shops, inside the shop's own Postgres."""

__version__ = "0.1.0"
