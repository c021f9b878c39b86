"""What the stack tells Django through environment variables, and how Django reads it.

DATABASE_URL    postgresql://user:password@host:port/name?option=value; a socket folder goes into ?host=
BROKER_URL      what Celery calls its broker, such as redis+socket:///folder/valkey.sock?virtual_host=0
SESSREC_STATE   the folder for what is neither code nor database: artifacts, logs
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def django_database(url: str, *, pool: bool = False, prepared: bool = False) -> dict[str, Any]:
    """Turn a database URL into an entry of Django's DATABASES, on persistent or on pooled connections.

    prepared: whether connections keep repeated statements prepared
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ValueError(f"DATABASE_URL {url!r} is not for PostgreSQL: write postgresql://user@host/name")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    socket_folder = options.pop("host", "")
    if pool:
        options["pool"] = True
    if prepared:
        options |= {"server_side_binding": True, "prepare_threshold": 5}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or "") or socket_folder,
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0 if pool else 60,  # Django refuses to pool connections that it also keeps
        "CONN_HEALTH_CHECKS": True,
    }
