"""The REST API: events in, recommendations out, and visitors' rights to their data."""
