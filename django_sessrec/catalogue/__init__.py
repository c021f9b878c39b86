"""The catalogue: which items exist, may be shown, how they look, and which belong together.

A shop writes one class and names it in SESSREC["CATALOGUE"]. Where its products are one Django model, that
is a ModelCatalogue of a few lines:

    class ProductCatalogue(ModelCatalogue):
        model = "shop.Product"
        title_field = "name"
        price_field = "price"
        image_field = "photo"
        category_field = "category"

        def available(self, queryset):
            return queryset.filter(published=True, stock__gt=0)

Any other shop subclasses Catalogue, whose one required method is `resolve`.

Item ids are text everywhere in this package: they are stored in events, learnt by models and sent as JSON.
A catalogue may answer with whole numbers, UUIDs or its own objects wherever an id is asked for:
get_catalogue() brings every answer to text, once.
"""

from django_sessrec.catalogue.as_text import Attributes, TextCatalogue, get_catalogue
from django_sessrec.catalogue.base import Catalogue
from django_sessrec.catalogue.one_model import ModelCatalogue

__all__ = ["Attributes", "Catalogue", "ModelCatalogue", "TextCatalogue", "get_catalogue"]
