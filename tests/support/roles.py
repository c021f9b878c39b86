"""A role with few rights; roles are the whole server's, where other processes run tests at the same time."""

import os
from contextlib import contextmanager

from django.db import connection

CLERK = f"clerk_{os.getpid()}"
WRITES_ROWS = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {CLERK}"
ACTS = f"SET ROLE {CLERK}"


@contextmanager
def clerk(*statements):
    """The role CLERK, which goes with all that it was granted; these statements are its first.

    Yields what carries out further ones.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {CLERK}")
        try:
            for statement in statements:
                cursor.execute(statement)
            yield cursor.execute
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute(f"DROP OWNED BY {CLERK}")
            cursor.execute(f"DROP ROLE {CLERK}")
