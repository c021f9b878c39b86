"""The smallest Django project with django_sessrec in it, on DATABASE_URL or on a Postgres of this run's own.

Under pytest-xdist the controller puts its server's URL into DATABASE_URL, and the workers find it there.
"""

import os

from example_shop.stack.environment import django_database
from example_shop.stack.folders import scratch_folder
from example_shop.stack.postgres import Postgres

DATABASE_URL = os.environ.get("DATABASE_URL")
EMBEDDED_POSTGRES = None if DATABASE_URL else Postgres(scratch_folder(), durable=False)

DATABASES = {"default": django_database(DATABASE_URL or EMBEDDED_POSTGRES.url)}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_sessrec",
    "tests.demo",
    "example_shop.shop",  # last: its templates override the package's in tests/shop only
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_sessrec.middleware.SessrecMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["localhost"]
SECRET_KEY = "only for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

SESSREC = {
    "CATALOGUE": "tests.demo.recommendations.DemoCatalogue",
    "TRACKED_VIEWS": {"demo:product": "pk"},
    "CONSENT": "tests.demo.recommendations.consent",
    "TRAIN_NICENESS": int(os.environ.get("TRAIN_NICENESS", "0")),  # other tests take all cores
}
