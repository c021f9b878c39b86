"""What a shop writes to be understood by django_sessrec: its catalogue and its consent."""

from django_sessrec.catalogue import ModelCatalogue


class DemoCatalogue(ModelCatalogue):
    model = "demo.Product"
    title_field = "name"
    price_field = "price"
    image_field = "picture"
    category_field = "category"
    stock_field = "stock"

    def available(self, queryset):
        return queryset.filter(stock__gt=0)

    def describe_categories(self, categories, request=None):
        return {each: {"title": each.title(), "url": f"/demo/category/{each}/"} for each in categories}

    def sensitive(self, item_ids):
        found = self.queryset().filter(pk__in=self.native_ids(item_ids), sensitive=True)
        return {str(pk) for pk in found.values_list("pk", flat=True)}


def consent(request):
    """The visitor's answer to the banner: the cookie consent=yes."""
    return "session" if request.COOKIES.get("consent") == "yes" else "none"
