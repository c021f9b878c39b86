"""/.well-known/gpc.json: this site abides by Global Privacy Control. Include it at the root of the shop.

Without the specification's optional `lastUpdate`: since when a shop abides, only the shop knows.
"""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_sessrec.api.transactions import outside_transactions


@login_not_required
@outside_transactions
def gpc(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"gpc": True})


urlpatterns = [path(".well-known/gpc.json", gpc)]
