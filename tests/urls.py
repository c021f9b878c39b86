"""The test project's addresses; a test that needs others names its own with `@pytest.mark.urls`."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("demo/", include("tests.demo.urls")),
    path("sessrec/", include("django_sessrec.urls")),
]
