"""A reader's project: what `django-admin startproject` makes, a small shop in it, and what a page prints."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
OSCAR = ROOT / ".venv-oscar" / "bin" / "python"
TITLED = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w/]+\.\w+)`[^`\n]*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)

DATABASE = """
import os
from example_shop.stack.environment import django_database

DATABASES = {"default": {**django_database(os.environ["DATABASE_URL"]), "NAME": os.environ["DATABASE_NAME"]}}
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
ALLOWED_HOSTS = ["*"]
"""

# The shop that a page says its reader has already: a product model and a product page.
SETTINGS = """
INSTALLED_APPS += ["shop"]
"""
MODELS = """
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
"""
VIEWS = """
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from shop.models import Product


def product(request, pk):
    return render(request, "product.html", {"product": get_object_or_404(Product, pk=pk)})


def page(request, address):
    raise Http404(f"no page at {address}")
"""
URLS = """
from shop import views

urlpatterns += [
    path("product/<int:pk>/", views.product, name="product"),
    path("<path:address>", views.page),  # takes every address, as Wagtail's route does
]
"""
SHOP = {
    "project/settings.py": SETTINGS,
    "project/urls.py": URLS,
    "shop/__init__.py": "",
    "shop/models.py": MODELS,
    "shop/views.py": VIEWS,
}
PRODUCTS = """
from shop.models import Product

Product.objects.bulk_create(
    Product(name=f"Tea {n}", price=n, category="green" if n % 2 else "black", stock=n != 5)
    for n in range(1, 31)
)
"""
# One visitor declines, and one agrees and looks at two products.
VISIT = """
import re
from django.test import Client
from django_sessrec.models import Event

client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
declined = client.get("/product/1/").content.decode()
assert len(re.findall(r'href="/product/', declined)) == 8, declined
assert "Tea 5<" not in declined, "sold out, and recommended"
assert not client.cookies and not Event.objects.exists()

client.cookies["consent"] = "yes"
client.get("/product/1/")
page = client.get("/product/3/").content.decode()
assert [event.item_id for event in Event.objects.order_by("event_id")] == ["1", "3"]
assert "sessrec=" in page, page
assert client.get("/sessrec/why/").status_code == 200
"""


class Project:
    """A project in a folder, on a database of its own."""

    def __init__(
        self,
        folder: Path,
        database: str,
        *,
        python: Path = Path(sys.executable),
        shop: Mapping[str, str] = SHOP,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.python = python
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_NAME": database,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
            **environment,
        }
        self.run("-m", "django", "startproject", "project", ".", DJANGO_SETTINGS_MODULE="")
        self.add("project/settings.py", DATABASE)
        for name, text in shop.items():
            self.add(name, text)

    def add(self, name: str, text: str) -> None:
        """Append to a file, or make it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{before}\n{text}" if before else text, encoding="utf-8")

    def add_printed(self, files: list[tuple[str, str]]) -> None:
        """Do with a page's code what the page says."""
        for name, text in files:
            self.add(name, text)

    def run(self, *command: str, **environment: str) -> str:
        """Run Python in the project; what it printed; fails where it fails."""
        done = subprocess.run(
            [self.python, *command],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def manage(self, *command: str) -> str:
        """Run a command of manage.py."""
        return self.run("manage.py", *command)

    def shell(self, code: str) -> str:
        """Run code with Django set up."""
        return self.run("-c", f"import django\ndjango.setup()\n{code}")

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Keep a program of the environment running, such as `celery`."""
        with (self.folder / f"{command[0]}.log").open("a", encoding="utf-8") as log:
            program = subprocess.Popen(
                [self.python, "-m", *command],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
            try:
                yield
            finally:
                program.terminate()
                program.wait()


def read(page: str) -> str:
    """A page's text, named from the repository's root."""
    return (ROOT / page).read_text(encoding="utf-8")


def first_column(page: str) -> set[str]:
    """The names in the first column of a reference page's tables."""
    return set(re.findall(r"^\| `([^`]+)`", read(f"docs/reference/{page}"), re.MULTILINE))


def printed_commands(text: str, program: str) -> list[list[str]]:
    """The lines of a page's console blocks that start this program, without it; comments are left out."""
    lines = [line for block in CONSOLE.findall(text) for line in block.splitlines()]
    return [
        line.removeprefix(f"$ {program} ").partition("#")[0].split()
        for line in lines
        if line.startswith(f"$ {program} ")
    ]
