"""What the shop sells and what was ordered."""

import uuid
from decimal import Decimal

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class Category(models.Model):
    """A department ("Kitchen") or, under one, a kind of goods ("Teapots")."""

    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
    position = models.PositiveSmallIntegerField()
    picture_of = models.SlugField(help_text=_("The kind of goods in its picture"))
    colour = models.CharField(max_length=20)

    class Meta:
        ordering = ["position"]
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("shop:category", args=[self.slug])

    @property
    def picture_url(self) -> str:
        return reverse("shop:picture", args=[self.picture_of, self.colour, self.position % 12])


class Colour(models.TextChoices):
    """The colours of the range; the pictures mix their paint from the same names."""

    CHALK = "chalk", _("Chalk white")
    OAT = "oat", _("Oat")
    OCHRE = "ochre", _("Ochre")
    BLUSH = "blush", _("Blush")
    CLAY = "clay", _("Clay")
    RUST = "rust", _("Rust")
    BERRY = "berry", _("Berry")
    SAGE = "sage", _("Sage")
    MOSS = "moss", _("Moss")
    PINE = "pine", _("Pine")
    MIST = "mist", _("Mist")
    FJORD = "fjord", _("Fjord blue")
    INK = "ink", _("Ink blue")
    CHARCOAL = "charcoal", _("Charcoal")
    BIRCH = "birch", _("Birch")
    WALNUT = "walnut", _("Walnut")


class ProductQuerySet(models.QuerySet["Product"]):
    def in_stock(self) -> "ProductQuerySet":
        return self.filter(stock__gt=0)

    def under(self, category: Category) -> "ProductQuerySet":
        """Products of a kind, or of every kind in a department."""
        return self.filter(models.Q(category=category) | models.Q(category__parent=category))

    def matching(self, words: str) -> "ProductQuerySet":
        """Products in whose name, maker or kind every word occurs."""
        found = self
        for word in words.split():
            found = found.filter(
                models.Q(name__icontains=word)
                | models.Q(maker__icontains=word)
                | models.Q(category__name__icontains=word)
            )
        return found


class Product(models.Model):
    """One thing to buy, in one colour and size."""

    category = models.ForeignKey(
        Category, models.PROTECT, related_name="products", limit_choices_to={"parent__isnull": False}
    )
    name = models.CharField(_("name"), max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    maker = models.CharField(_("maker"), max_length=60)
    collection = models.CharField(_("collection"), max_length=60)
    # What its colours share; empty for what comes in one colour only.
    family = models.SlugField(_("family"), max_length=120, blank=True)
    colour = models.CharField(_("colour"), max_length=20, choices=Colour)
    description = models.TextField(_("description"))
    price = models.DecimalField(_("price"), max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField(_("stock"))
    variation = models.PositiveSmallIntegerField(_("variation of the picture"))

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["category", "price"], name="shop_product_by_price")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("shop:product_detail", args=[self.pk, self.slug])

    @property
    def other_colours(self) -> ProductQuerySet:
        """The rest of its family."""
        family = Product.objects.filter(family=self.family) if self.family else Product.objects.none()
        return family.exclude(pk=self.pk)

    @property
    def picture_url(self) -> str:
        return reverse("shop:picture", args=[self.category_id, self.colour, self.variation])


class Order(models.Model):
    """What somebody bought at once; its number can't be guessed from another's."""

    number = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    placed_at = models.DateTimeField(_("placed at"), auto_now_add=True)

    class Meta:
        ordering = ["-placed_at"]

    def __str__(self) -> str:
        return str(self.number)[:8]

    def get_absolute_url(self) -> str:
        return reverse("shop:thanks", args=[self.number])

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines.all()), Decimal(0))


class OrderLine(models.Model):
    """One product of an order, at the price of that moment."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(_("quantity"))
    price = models.DecimalField(_("price"), max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product}"

    @property
    def total(self) -> Decimal:
        return self.quantity * self.price
