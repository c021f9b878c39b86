"""Every address of the example shop."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("example_shop.shop.urls")),
    path("admin/", admin.site.urls),
]
