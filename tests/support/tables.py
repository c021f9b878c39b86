"""The app's tables as they lie in the database."""

from django.db import connection


def rows_of_the_app():
    """Every row of every table of the app, as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'sessrec\\_%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT whole::text FROM "{table}" whole')
            yield from (row for (row,) in cursor.fetchall())
