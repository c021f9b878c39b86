"""The test shop with what belongs to the root of a site."""

from django.urls import include, path

urlpatterns = [path("", include("tests.urls")), path("", include("django_sessrec.api.wellknown"))]
