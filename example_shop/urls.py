"""Every address of the example shop."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("example_shop.shop.urls")),
    path("admin/", admin.site.urls),
    path("sessrec/", include("django_sessrec.api.urls")),
    path("", include("django_sessrec.api.wellknown")),
]
