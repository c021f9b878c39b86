"""What a visitor may ask of a list of products, how many of one she wants, and what she orders."""

from decimal import Decimal

from django import forms
from django.db.models.functions import MD5
from django.utils.translation import gettext_lazy as _

from example_shop.shop.basket import MOST_PER_PRODUCT
from example_shop.shop.models import Colour, ProductQuerySet

LONGEST_SEARCH = 80  # characters
PRICE_BANDS = {"25": (0, 25), "50": (25, 50), "100": (50, 100), "250": (100, 250), "more": (250, 100_000)}
SORTS = {"new": "-pk", "cheap": "price", "dear": "-price", "name": "name"}


class BrowseForm(forms.Form):
    """Filters and order of a product list, in the address so that it can be shared."""

    q = forms.CharField(label=_("Search"), required=False, widget=forms.HiddenInput)
    colour = forms.ChoiceField(
        label=_("Colour"), required=False, choices=[("", _("All colours")), *Colour.choices]
    )
    price = forms.ChoiceField(
        label=_("Price"),
        required=False,
        choices=[
            ("", _("All prices")),
            ("25", _("Under €25")),
            ("50", _("€25 to €50")),
            ("100", _("€50 to €100")),
            ("250", _("€100 to €250")),
            ("more", _("Over €250")),
        ],
    )
    sort = forms.ChoiceField(
        label=_("Sort by"),
        required=False,
        choices=[
            ("", _("Our choice")),
            ("new", _("Newest")),
            ("cheap", _("Price, low to high")),
            ("dear", _("Price, high to low")),
            ("name", _("Name")),
        ],
    )
    in_stock = forms.BooleanField(label=_("In stock only"), required=False)

    def clean_q(self) -> str:
        """As many characters as the field in the page's head takes; the rest is left out."""
        words: str = self.cleaned_data["q"]
        return words[:LONGEST_SEARCH].strip()

    @property
    def filters(self) -> list[str]:
        """Names of those that are set, without the words of a search and the order."""
        self.is_valid()
        return [name for name in ("colour", "price", "in_stock") if self.cleaned_data.get(name)]

    def narrow(self, products: ProductQuerySet) -> ProductQuerySet:
        """The products asked for, in the order asked for; a nonsense filter is no filter."""
        self.is_valid()
        asked = self.cleaned_data
        products = products.matching(asked.get("q", ""))
        if asked.get("colour"):
            products = products.filter(colour=asked["colour"])
        if asked.get("price"):
            low, high = PRICE_BANDS[asked["price"]]
            products = products.filter(price__gte=Decimal(low), price__lt=Decimal(high))
        if asked.get("in_stock"):
            products = products.in_stock()
        a_lasting_shuffle = MD5("slug")
        return products.order_by(SORTS.get(asked.get("sort", ""), a_lasting_shuffle), "pk")


class CheckoutForm(forms.Form):
    """What the checkout page showed: the number that its order will have, and the total."""

    number = forms.UUIDField(widget=forms.HiddenInput)
    total = forms.DecimalField(widget=forms.HiddenInput)


class QuantityForm(forms.Form):
    """How many of a product; 0 takes it out of the basket."""

    quantity = forms.IntegerField(label=_("Quantity"), min_value=0, max_value=MOST_PER_PRODUCT)
