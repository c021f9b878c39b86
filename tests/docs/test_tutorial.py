"""The tutorial's code, as it stands there, makes a shop that recommends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```(?:python|html) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)

# The shop that the reader is said to have already.
SHOP = {
    "shop/__init__.py": "",
    "project/__init__.py": "",
    "shop/models.py": """
from django.db import models
from django.urls import reverse


class Product(models.Model):
    name = models.CharField(max_length=50)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.IntegerField(default=1)
    category = models.CharField(max_length=50)

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("product", args=[self.pk])
""",
    "shop/views.py": """
from django.shortcuts import get_object_or_404, render
from shop.models import Product


def product(request, pk):
    return render(request, "product.html", {"product": get_object_or_404(Product, pk=pk)})
""",
    "project/urls.py": """
from django.urls import path
from project import sessrec_urls
from shop import views

urlpatterns = [path("product/<int:pk>/", views.product, name="product"), *sessrec_urls.urlpatterns]
""",
    "project/settings.py": """
import os
from pathlib import Path
from example_shop.stack.environment import django_database
from project import sessrec

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "only for this test"
ALLOWED_HOSTS = ["testserver"]
DATABASES = {"default": {**django_database(os.environ["DATABASE_URL"]), "NAME": os.environ["TUTORIAL_DB"]}}
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.staticfiles", "shop", *sessrec.INSTALLED_APPS
]
MIDDLEWARE = sessrec.MIDDLEWARE
SESSREC = sessrec.SESSREC
ROOT_URLCONF = "project.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR / "templates"],
    "APP_DIRS": True, "OPTIONS": {"context_processors": ["django.template.context_processors.request"]}}]
""",
    "visit.py": """
import re
import django
django.setup()
from django.core.management import call_command
from django.test import Client
from shop.models import Product
from shop.orders import add_to_basket
from django_sessrec.models import Event

call_command("check", fail_level="WARNING")
call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)
Product.objects.bulk_create(
    Product(name=f"Tea {n}", price=n, category="green" if n % 2 else "black", stock=n != 5)
    for n in range(1, 31)
)
client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
declined = client.get("/product/1/").content.decode()
assert len(re.findall(r'href="/product/', declined)) == 8, declined
assert not client.cookies and not Event.objects.exists()

client.cookies["consent"] = "yes"
client.get("/product/1/")
page = client.get("/product/3/").content.decode()
assert [event.item_id for event in Event.objects.order_by("event_id")] == ["1", "3"]
assert "sessrec=" in page and "Tea 5<" not in page, page
from project import celery
assert "django_sessrec.tasks.train" in str(celery.app.conf.beat_schedule)
""",
}


@pytest.fixture
def database():
    """An empty database of the tutorial's own, beside the tests'."""
    name = f"tutorial_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield name
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.django_db(transaction=True)
def test_the_tutorial_makes_a_shop_that_recommends(tmp_path, database):
    blocks = dict(BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")))
    for name, text in {**SHOP, **blocks}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "TUTORIAL_DB": database,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    visit = subprocess.run(
        [sys.executable, "visit.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert visit.returncode == 0, visit.stdout + visit.stderr
