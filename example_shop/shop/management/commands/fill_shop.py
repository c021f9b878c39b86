"""Fill the shop: categories, products and somebody who may open the admin."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from example_shop.shop import assortment
from example_shop.shop.models import Category, Product


class Command(BaseCommand):
    help = "Fills an empty shop and makes the user admin (password: admin). One with products stays as it is."

    def handle(self, **options: Any) -> None:
        if Product.objects.exists():
            self.stdout.write("The shop has products: nothing is changed")
            return
        with transaction.atomic():
            Category.objects.bulk_create(assortment.categories(), ignore_conflicts=True)
            self.stdout.write(f"{Category.objects.count()} categories")
            Product.objects.bulk_create(assortment.products())
            self.stdout.write(f"{Product.objects.count():,} products")
            users = get_user_model().objects
            if not users.filter(username="admin").exists():
                users.create_superuser("admin", password="admin")
        self.stdout.write(self.style.SUCCESS("The shop is filled. Admin: admin / admin"))
