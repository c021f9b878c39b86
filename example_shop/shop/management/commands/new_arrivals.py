"""Put the products of today on the shelves: no model knows them, and lists show them all the same."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from example_shop.shop.assortment import arrivals
from example_shop.shop.models import Product


class Command(BaseCommand):
    help = "Adds the new products of today. Run twice, it changes nothing."

    def handle(self, **options: Any) -> None:
        before = Product.objects.count()
        Product.objects.bulk_create(arrivals(timezone.localdate()), ignore_conflicts=True)
        self.stdout.write(f"{Product.objects.count() - before} new products")
