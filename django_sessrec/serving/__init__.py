"""Serving: from a visit and a placement to the list that a page shows."""
