"""What the shop does by itself."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def new_arrivals() -> None:
    """Put the products of today on the shelves."""
    call_command("new_arrivals")
