"""schema/: this API as OpenAPI, whatever else the shop serves."""

from __future__ import annotations

from typing import Any

from django.urls import include, path, reverse
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from django_sessrec import __version__
from django_sessrec.api.throttling import Throttled


@extend_schema(exclude=True)
class SchemaView(Throttled, SpectacularAPIView):
    authentication_classes = ()
    permission_classes = ()
    versioning_class = None
    schema = AutoSchema()  # the framework's default class is refused, on the way to leaving this view out
    api_version = __version__
    custom_settings = {
        "TITLE": "django-sessrec",
        "DESCRIPTION": "Session-based recommendations of this shop.",
        "VERSION": "",  # the shop's own, before which `api_version` would stand in brackets
    }

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        prefix = reverse("sessrec:events").removesuffix("events/").lstrip("/")
        self.urlconf = [  # type: ignore[assignment]  # a list is as good as a module's name
            path(prefix, include("django_sessrec.urls"))
        ]
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response
