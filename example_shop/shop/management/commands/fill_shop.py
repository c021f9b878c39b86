"""Fill the shop: categories, products and somebody who may open the admin."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from example_shop.shop import assortment
from example_shop.shop.models import Category, Product

PRODUCT_FIELDS = ["category", "name", "maker", "collection", "family", "colour", "description", "price"]
PRODUCT_FIELDS += ["variation"]


class Command(BaseCommand):
    help = "Fills the catalogue and makes the user admin (password: admin). Run twice, it changes nothing."

    def handle(self, **options: Any) -> None:
        with transaction.atomic():
            Category.objects.bulk_create(
                assortment.categories(),
                update_conflicts=True,
                unique_fields=["slug"],
                update_fields=["name", "parent", "position", "picture_of", "colour"],
            )
            self.stdout.write(f"{Category.objects.count()} categories")
            Product.objects.bulk_create(  # stock is left alone: what was sold stays sold
                assortment.products(),
                update_conflicts=True,
                unique_fields=["slug"],
                update_fields=PRODUCT_FIELDS,
            )
            self.stdout.write(f"{Product.objects.count():,} products")
        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", password="admin")
        self.stdout.write(self.style.SUCCESS("The shop is filled. Admin: admin / admin"))
