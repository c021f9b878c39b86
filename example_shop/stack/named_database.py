"""The database that DATABASE_URL names: which it is, and whether it is free for the example shop."""

import re

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

# Of the apps in the example shop's settings, by the names of their tables.
OURS = re.compile(
    r"sessrec_\w+|shop_(category|product|order|orderline)"
    r"|auth_\w+|django_(admin_log|content_type|migrations|session)"
)
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) ORDER BY 1"
SHOWN = 3  # tables of a message
CONNECT_SECONDS = 10
REMEDY = "name an empty database, or `unset DATABASE_URL` for a Postgres of the checkout's own"


def examine(url: str) -> str:
    """Return which database this is, without a password; raise with the remedy where it isn't the shop's."""
    if not is_url(url):  # whose password no message may hold
        raise RuntimeError("DATABASE_URL must be like postgresql://user:password@host:port/name")
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            named, found = place(connection), others_tables(connection)
    except psycopg.Error as error:
        raise RuntimeError(f"The database of DATABASE_URL can't be used: {error}\n{REMEDY}") from None
    if found:
        tables = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        raise RuntimeError(
            f"The database of DATABASE_URL, {named}, has tables that are not the example shop's ({tables}): "
            f"{REMEDY}"
        )
    return named


def is_url(url: str) -> bool:
    """Say whether Postgres can read it."""
    try:
        return url.startswith(("postgresql://", "postgres://")) and bool(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        return False


def others_tables(connection: psycopg.Connection) -> list[str]:
    """Return the tables that are not the shop's: of other names, or filled before the shop was there."""
    tables = [name for (name,) in connection.execute(TABLES)]
    if others := [name for name in tables if not OURS.fullmatch(name)]:
        return others
    if {"shop_product", "sessrec_event"} <= {*tables}:
        return []
    return [name for name in ("auth_user", "shop_product") if name in tables and has_rows(connection, name)]


def has_rows(connection: psycopg.Connection, table: str) -> bool:
    """Say whether there is anything in a table."""
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
    return connection.execute(query).fetchone() == (True,)


def place(connection: psycopg.Connection) -> str:
    """Return the database's name, server and user."""
    known = connection.info
    return f"{known.dbname!r} on {known.host or 'this machine'}, as {known.user!r}"
