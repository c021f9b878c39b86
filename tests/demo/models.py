"""What the test shop sells."""

from django.db import models
from django.urls import reverse


class Product(models.Model):
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=100, default="tea")
    price = models.DecimalField(max_digits=8, decimal_places=2, default=10)
    picture = models.CharField(max_length=200, blank=True)  # a URL
    stock = models.IntegerField(default=5)
    family = models.CharField(max_length=50, blank=True)  # that the variants of one product share
    sensitive = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("demo:product", kwargs={"pk": self.pk})
