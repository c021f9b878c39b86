"""The shop as a Django app."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "example_shop.shop"
    label = "shop"
    verbose_name = "Fjord & Fern"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from example_shop import celery  # noqa: F401  tasks sent from a page go to this shop's broker
