"""The test shop with the API in it."""

from django.urls import include, path

urlpatterns = [
    path("", include("tests.urls")),
    path("sessrec/", include("django_sessrec.api.urls")),
    path("", include("django_sessrec.api.wellknown")),
]
