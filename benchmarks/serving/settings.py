"""Settings of the shop that serving is weighed on. From the environment:

DATABASE_URL, SESSREC_ARTIFACTS, WITHOUT_SESSREC=1 for the same shop without the app, POOL=1 for a pool of
connections, which a shop on an async server needs, and PREPARED=1 for prepared statements.
"""

import os

from benchmarks import one_page_shop
from example_shop.stack.environment import django_database

WITH_APP = not os.environ.get("WITHOUT_SESSREC")
PAGE = "<!doctype html><title>{{ product.name }}</title><h1>{{ product.name }}</h1>"
TAG = '{% load sessrec %}{% sessrec_recommendations "product_page" item=product limit=8 %}'
BY_HAND = """<h2>You may also like</h2><ul>{% for each in alike %}
<li><a href="/tagged/{{ each.pk }}/"><span>{{ each.name }}</span></a></li>{% endfor %}</ul>"""

_database = django_database(
    os.environ["DATABASE_URL"],
    pool=bool(os.environ.get("POOL")),
    prepared=bool(os.environ.get("PREPARED")),
)
_without_app = one_page_shop.settings(_database)
DATABASES = _without_app["DATABASES"]
INSTALLED_APPS = [app for app in _without_app["INSTALLED_APPS"] if app != "django_sessrec"]
MIDDLEWARE = [*one_page_shop.MIDDLEWARE]
if WITH_APP:
    INSTALLED_APPS += ["rest_framework", "django_sessrec"]
    MIDDLEWARE += [one_page_shop.CAPTURE]
ROOT_URLCONF = "benchmarks.serving.shop"
SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
STATIC_URL = "static/"
USE_TZ = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        (
                            "django.template.loaders.locmem.Loader",
                            {
                                "plain": PAGE,
                                "tagged": PAGE + TAG,
                                "by_hand": PAGE + BY_HAND,
                                "with_list": PAGE + "{{ list }}",
                            },
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": ["django.template.context_processors.request"],
        },
    }
]
SESSREC = {
    "CATALOGUE": "benchmarks.serving.shop.GroupCatalogue",
    "CONSENT": "benchmarks.one_page_shop.consent",
    "TRACKED_VIEWS": dict.fromkeys(
        ("plain", "tagged", "by_hand", "floor", "async_plain", "async_tagged"), "pk"
    ),
    "ARTIFACTS": os.environ["SESSREC_ARTIFACTS"],
    "THROTTLE_RECOMMENDATIONS": "10000000/min",
}
