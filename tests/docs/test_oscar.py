"""The oscar page's code, as printed, makes a django-oscar shop recommend and record baskets and orders.

Runs where `make test-recipes` has installed django-oscar into an environment of its own.
"""

import pytest

from tests.docs.project import OSCAR, TITLED, Project, printed_commands, read

OSCAR_SETTINGS = """
from oscar.defaults import *

INSTALLED_APPS += [
    "django.contrib.sites", "django.contrib.flatpages",
    "oscar.config.Shop", "oscar.apps.analytics.apps.AnalyticsConfig",
    "oscar.apps.checkout.apps.CheckoutConfig", "oscar.apps.address.apps.AddressConfig",
    "oscar.apps.shipping.apps.ShippingConfig", "oscar.apps.catalogue.apps.CatalogueConfig",
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "oscar.apps.communication.apps.CommunicationConfig", "oscar.apps.partner.apps.PartnerConfig",
    "oscar.apps.basket.apps.BasketConfig", "oscar.apps.payment.apps.PaymentConfig",
    "oscar.apps.offer.apps.OfferConfig", "oscar.apps.order.apps.OrderConfig",
    "oscar.apps.customer.apps.CustomerConfig", "oscar.apps.search.apps.SearchConfig",
    "oscar.apps.voucher.apps.VoucherConfig", "oscar.apps.wishlists.apps.WishlistsConfig",
    "oscar.apps.dashboard.apps.DashboardConfig", "oscar.apps.dashboard.reports.apps.ReportsDashboardConfig",
    "oscar.apps.dashboard.users.apps.UsersDashboardConfig",
    "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig",
    "oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig",
    "oscar.apps.dashboard.offers.apps.OffersDashboardConfig",
    "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig",
    "oscar.apps.dashboard.pages.apps.PagesDashboardConfig",
    "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig",
    "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig",
    "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig",
    "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig",
    "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig",
    "widget_tweaks", "haystack", "treebeard", "django_tables2", "sorl.thumbnail",
]
SITE_ID = 1
OSCAR_ALLOW_ANON_CHECKOUT = True
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
MIDDLEWARE += [
    "oscar.apps.basket.middleware.BasketMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
]
TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "oscar.apps.search.context_processors.search_form",
    "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications",
    "oscar.core.context_processors.metadata",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
AUTHENTICATION_BACKENDS = ["oscar.apps.customer.auth_backends.EmailBackend"]
MEDIA_ROOT = BASE_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
"""
OSCAR_URLS = """
from django.apps import apps
from django.urls import include

urlpatterns = [path("", include(apps.get_app_config("oscar").urls[0]))]
"""
PRODUCTS = """
from oscar.core.loading import get_model

category = get_model("catalogue", "Category").add_root(name="Tea")
kind = get_model("catalogue", "ProductClass").objects.create(name="Tea", requires_shipping=False)
partner = get_model("partner", "Partner").objects.create(name="Shop")
Product = get_model("catalogue", "Product")
for n in range(1, 13):
    product = Product.objects.create(title=f"Tea {n}", product_class=kind, structure="standalone")
    product.categories.add(category)
    get_model("partner", "StockRecord").objects.create(
        product=product, partner=partner, partner_sku=str(n), price=n, num_in_stock=0 if n == 5 else 9
    )
"""
VISIT = """
import re
from decimal import Decimal
from django.test import Client
from oscar.core.loading import get_model
from django_sessrec.models import Event

Product = get_model("catalogue", "Product")
first, second = Product.objects.order_by("pk")[:2]
client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
client.get(first.get_absolute_url())
assert not Event.objects.exists()
client.cookies["consent"] = "yes"
client.get(first.get_absolute_url())
page = client.get(second.get_absolute_url()).content.decode()
cards = re.findall(r'<h3><a href="(/catalogue/[^"]+sessrec=[^"]+)">(Tea [0-9]+)</a></h3>', page)
assert len(cards) == 4, page
assert "Tea 5" not in [title for _, title in cards], "out of stock"
assert "price_color" in page and "Tea 2" not in [title for _, title in cards]
client.get(cards[0][0])  # a click on a recommendation
client.post(f"/basket/add/{second.pk}/", {"quantity": 2})
names = list(Event.objects.order_by("event_id").values_list("name", "item_id"))
assert [name for name, _ in names] == ["view_item", "view_item", "select_item", "view_item", "add_to_cart"]
assert names[-1] == ("add_to_cart", str(second.pk)), names

client.post("/checkout/", {"options": "anonymous", "username": "visitor@example.com"})
client.get("/checkout/shipping-address/", follow=True)
answer = client.post("/checkout/preview/", {"action": "place_order"}, follow=True)
assert answer.redirect_chain[-1][0] == "/checkout/thank-you/", answer.redirect_chain
bought = Event.objects.get(name="purchase")
assert (bought.item_id, bought.quantity, bought.price) == (str(second.pk), 2, Decimal(2)), bought
"""


@pytest.fixture
def project(tmp_path, project_database) -> Project:
    shop = {"project/settings.py": OSCAR_SETTINGS, "project/urls.py": OSCAR_URLS}
    return Project(tmp_path, project_database, python=OSCAR, shop=shop)


def test_the_page_makes_an_oscar_shop_recommend(project):
    text = read("docs/how-to/oscar.md")
    project.add("recommendations/__init__.py", "")
    project.add_printed(TITLED.findall(text))
    for command in printed_commands(text, "python manage.py"):
        project.manage(*command)
    project.shell(PRODUCTS)
    project.shell(VISIT)
