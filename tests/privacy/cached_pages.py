"""Pages that a shop keeps in a cache, each in its own way, and one that is made while it is sent."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.template import Context, Template
from django.urls import include, path
from django.views.decorators.cache import cache_control, cache_page

from tests.demo import views
from tests.demo.models import Product

OFFERING = (
    "Akamai-Cache-Control",
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Edge-Control",
    "Netlify-CDN-Cache-Control",
    "Surrogate-Control",
    "Vercel-CDN-Cache-Control",
    "X-Accel-Expires",
    "X-LiteSpeed-Cache-Control",
)


@cache_control(public=True, max_age=60, s_maxage=600)
def offered_to_all(request: HttpRequest, pk: int) -> HttpResponse:
    """A page that asks every cache to keep it, a content delivery network's by headers of their own, too."""
    response = views.product(request, pk)
    for header in OFFERING:
        response[header] = "max-age=600"
    return response


def with_list(request: HttpRequest, pk: int) -> HttpResponse:
    """An error page with a list."""
    return render(request, "demo/product.html", {"product": Product.objects.get(pk=pk)}, status=410)


def streamed(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """A page whose list is made when the response has begun."""
    template = Template('{% load sessrec %}{% sessrec_recommendations "product_page" item=pk %}')
    return StreamingHttpResponse(template.render(Context({"request": request, "pk": pk})) for _ in range(1))


app_name = "demo"
urlpatterns = [
    path("demo/", include("tests.demo.urls")),
    path("sessrec/", include("django_sessrec.urls")),
    path("kept/<int:pk>/", cache_page(600)(views.product)),
    path("offered/<int:pk>/", offered_to_all),
    path("gone/<int:pk>/", with_list),
    path("streamed/<int:pk>/", streamed),
]
