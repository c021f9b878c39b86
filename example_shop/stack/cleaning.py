"""Removes the shop's data, which as root lies outside the checkout."""

import shutil

from .folders import STATE, own_folder, service_folder
from .program import Lock


def remove_data() -> None:
    """Remove the state and service folders, unless the shop runs."""
    lock = Lock(own_folder(STATE) / "supervisor.lock")
    lock.take()
    for folder in {STATE, service_folder()}:
        shutil.rmtree(folder)
    lock.release()
