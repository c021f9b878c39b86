"""/.well-known/gpc.json: this site abides by Global Privacy Control. Include it at the root of the shop."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

ABIDES_SINCE = "2026-01-01"


def gpc(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"gpc": True, "lastUpdate": ABIDES_SINCE})


urlpatterns = [path(".well-known/gpc.json", gpc)]
