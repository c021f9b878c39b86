"""What the session's cookie says."""

from uuid import UUID


def visit_in(cookie: str) -> UUID:
    """The visit's id; its signature is not checked."""
    return UUID(cookie.partition(".")[0])
