#!/usr/bin/env python
"""The shop's command line: python example_shop/manage.py COMMAND."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line
from django.db import OperationalError

# A script's own folder comes first on the path, and our celery.py would hide Celery: put the checkout there.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_shop.settings")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", None):  # a server has answered: the details matter
            raise
        reason = str(problem).strip().splitlines()[0]
        sys.exit(
            f"The shop's database does not answer: start it with `make shop`, or set DATABASE_URL ({reason})"
        )


if __name__ == "__main__":
    main()
