"""The test project's addresses; a test that needs others names its own with `@pytest.mark.urls`."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def no_icon(_request: HttpRequest) -> HttpResponse:
    """For browsers, which ask by themselves, also in tabs that no test routes."""
    return HttpResponse(status=204)


urlpatterns = [
    path("favicon.ico", no_icon),
    path("admin/", admin.site.urls),
    path("demo/", include("tests.demo.urls")),
    path("sessrec/", include("django_sessrec.urls")),
]
