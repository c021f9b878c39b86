"""One of several hosts: a folder of its own for models, and a bucket that all of them share."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import SESSREC
from tests.support.storages import ALIAS, s3_storage

ALLOWED_HOSTS = ["127.0.0.1"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    ALIAS: s3_storage(os.environ["S3_URL"], os.environ["S3_LOCATION"]),
}
SESSREC = SESSREC | {
    "ARTIFACTS": os.environ["HOST_FOLDER"],
    "ARTIFACTS_STORAGE": ALIAS,
    "STREAM_URL": os.environ["STREAM_URL"],
    "STREAM_KEY_PREFIX": f"{os.environ['S3_LOCATION']}:",
    "MODELS": {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.Neighbours"}},
    "PLACEMENTS": {"product_page": {"MODELS": ["neighbours"]}},
    "MIN_SESSIONS": 20,
}
