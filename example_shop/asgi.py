"""The door an asynchronous web server calls."""

import os
from importlib import import_module

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_shop.settings")
application = get_asgi_application()
import_module(settings.ROOT_URLCONF)  # else the first visitor waits for the import of every view
