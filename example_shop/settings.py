"""Settings of the example shop: what any small Django shop has, and below it what django_sessrec needs."""

import os

from celery.schedules import crontab
from django.utils.translation import gettext_lazy as _

from django_sessrec.tasks import schedule
from example_shop.stack.environment import django_database
from example_shop.state import STATE, broker_url, database_url, secret_key, stream_url

DEBUG = os.environ.get("SHOP_DEBUG") == "1"
SECRET_KEY = secret_key()
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]

INSTALLED_APPS = [
    "example_shop.shop",
    "django_sessrec",
    "rest_framework",
    "drf_spectacular",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "example_shop.shop.security.PageHeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "example_shop.shop.language.AdminsLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_sessrec.middleware.SessrecMiddleware",
]
ROOT_URLCONF = "example_shop.urls"
WSGI_APPLICATION = "example_shop.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_shop.shop.context.shop",
            ]
        },
    }
]


DATABASES = {"default": django_database(database_url())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Europe/Oslo"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = STATE / "static"  # collected there, and served by granian

CELERY_BROKER_URL = broker_url()
# What a killed worker held goes to the next one after half a minute, not after Celery's hour.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 30,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE = {
    **schedule(),
    "new-arrivals": {"task": "example_shop.shop.tasks.new_arrivals", "schedule": crontab(hour=6, minute=0)},
}
# Celery tells of every heartbeat, twice; a training tells of itself.
QUIET = {"level": "WARNING"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,  # the import of schedule() has made that of django_sessrec
    "filters": {"without_debug": {"()": "django.utils.log.RequireDebugFalse"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["without_debug"]}},
    "loggers": {
        "django.request": {"handlers": ["console"], "level": "ERROR"},  # Django prints them with DEBUG alone
        "celery.app.trace": QUIET,
        "celery.worker.strategy": QUIET,
    },
}

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

# What others bought with it, then what they looked at; of a kind that is in the basket there is enough.
WITH_A_BASKET = ["bought_together", "model", "co_views", "popular", "static"]

SESSREC = {
    "CATALOGUE": "example_shop.shop.recommendations.ProductCatalogue",
    "CONSENT": "example_shop.shop.recommendations.consent",
    "TRACKED_VIEWS": {"shop:product_detail": "pk"},
    "SESSIONS_PER_CLIENT": None,  # the simulated visitors all come from this machine
    "ARTIFACTS": STATE / "artifacts",
    "STREAM_URL": stream_url(),
    "METRICS_TOKEN": os.environ.get("METRICS_TOKEN"),
    "TRAIN_NICENESS": 0,  # somebody waits for the first models, and nobody shops here yet
    "MODELS": {
        "neighbours": {"ESTIMATOR": "django_sessrec.recsys.TunedNeighbours", "EVERY_HOURS": 1},
        "ranked": {
            "ESTIMATOR": "django_sessrec.neural.Ranked",
            "OPTIONS": {"network": {"embedding_size": 64}},
        },
        "bought_together": {"ESTIMATOR": "django_sessrec.recsys.BoughtTogether", "MIN_SESSIONS": 50},
    },
    "PLACEMENTS": {
        "product_page": {
            "TITLE": _("You may also like"),
            "MAX_PER_CATEGORY": 4,
            "EXPERIMENT": {
                "NAME": "Does the ranker pay?",
                "VARIANTS": {
                    "neighbours": {"SHARE": 50, "MODELS": ["neighbours"]},
                    "ranked": {"SHARE": 50, "MODELS": ["ranked", "neighbours"]},
                },
            },
        },
        "basket": {
            "STEPS": WITH_A_BASKET,
            "LIMIT": 4,
            "TITLE": _("Goes well with your basket"),
            "MAX_PER_CATEGORY": 2,
        },
        "trending": {"STEPS": ["trending", "popular", "static"], "LIMIT": 4, "MAX_PER_CATEGORY": 2},
        "category": {
            "STEPS": ["model", "trending", "category", "static"],
            "LIMIT": 4,
            "TITLE": _("For you in this department"),
            "FALLBACK_TITLE": _("Looked at in this department"),
        },
        "search": {
            "STEPS": ["search", "model", "trending", "static"],
            "LIMIT": 4,
            "TITLE": _("Perhaps one of these"),
            "FALLBACK_TITLE": _("Perhaps one of these"),
        },
        "kinds": {"STEPS": ["search", "model", "trending", "popular", "static"], "LIMIT": 6},
        "not_found": {"STEPS": ["model", "trending", "popular", "static"], "LIMIT": 4},
        "thanks": {"STEPS": WITH_A_BASKET, "LIMIT": 4, "TITLE": _("Goes well with your order")},
        "goes_with": {"STEPS": ["bought_together"], "LIMIT": 4},
        "new_for_you": {"STEPS": ["content"], "LIMIT": 4, "TITLE": _("New, and perhaps for you")},
        "recently_viewed": {"STEPS": ["recently_viewed"], "LIMIT": 6},
        "home": {"LIMIT": 8, "TITLE": _("Picked for you"), "MAX_PER_CATEGORY": 4, "INTENTS": "rows"},
    },
}
