"""Removes the shop's data, which as root lies outside the checkout."""

import shutil

from .folders import STATE, own_folder, service_folder
from .program import Lock
from .supervisor import end_leftovers


def remove_data() -> None:
    """Remove the state and service folders, unless the shop runs; end first what a killed one left."""
    state = own_folder(STATE)
    lock = Lock(state / "supervisor.lock")
    lock.take()
    end_leftovers(state)  # a worker would make its folder again
    for folder in {STATE, service_folder()}:
        shutil.rmtree(folder)
    lock.release()
