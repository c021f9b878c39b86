"""The API's addresses, under the shop's prefix: path("sessrec/", include("django_sessrec.urls"))."""

from importlib.util import find_spec

from django.contrib.auth.decorators import login_not_required
from django.urls import path

from django_sessrec.api import health
from django_sessrec.api.categories import CategoriesView, CategorySlotView
from django_sessrec.api.events import EventsView
from django_sessrec.api.my_data import MyDataView
from django_sessrec.api.my_visit import my_visit
from django_sessrec.api.personalisation import PersonalisationView
from django_sessrec.api.recommendations import RecommendationsView, SlotView
from django_sessrec.api.schema import SchemaView
from django_sessrec.api.transactions import outside_transactions
from django_sessrec.api.why import why

app_name = "sessrec"
urlpatterns = [
    path("events/", EventsView.as_view(), name="events"),
    path("recommendations/", RecommendationsView.as_view(), name="recommendations"),
    path("slot/<str:placement>/", SlotView.as_view(), name="slot"),
    path("categories/", CategoriesView.as_view(), name="categories"),
    path("slot/<str:placement>/categories/", CategorySlotView.as_view(), name="category_slot"),
    path("my-data/", MyDataView.as_view(), name="my_data"),
    path("my-visit/", my_visit, name="my_visit"),
    path("personalisation/", PersonalisationView.as_view(), name="personalisation"),
    path("why/", why, name="why"),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
]
if find_spec("prometheus_client"):  # of the extra "metrics"
    from django_sessrec.api.metrics import metrics

    urlpatterns.append(path("metrics/", metrics, name="metrics"))

for address in urlpatterns:
    address.callback = login_not_required(outside_transactions(address.callback))
