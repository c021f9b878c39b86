"""Every address of the example shop."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

handler404 = "example_shop.shop.views.not_found"
urlpatterns = [
    path("", include("example_shop.shop.urls")),
    path("admin/", admin.site.urls),
    path("sessrec/", include("django_sessrec.urls")),
    path("", include("django_sessrec.api.wellknown")),
    path("favicon.ico", RedirectView.as_view(url=static("shop/fern.svg"))),  # for the admin's pages
]
