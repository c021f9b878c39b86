"""The shop's own tables in the admin: a product whose stock is set to 0 leaves every list at once."""

from django.contrib import admin
from django.http import HttpRequest

from example_shop.shop.models import Order, OrderLine, Product


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "maker", "price", "stock"]
    list_editable = ["stock"]
    list_filter = ["category__parent", "colour"]
    list_select_related = ["category"]
    search_fields = ["name", "maker"]
    prepopulated_fields = {"slug": ["name"]}


class OrderLineInline(admin.TabularInline):
    model = OrderLine
    readonly_fields = ["product", "quantity", "price"]
    can_delete = False

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("product")

    def has_add_permission(self, _request: HttpRequest, _order: Order | None = None) -> bool:
        return False


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["__str__", "placed_at", "total"]
    inlines = [OrderLineInline]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).prefetch_related("lines")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False
