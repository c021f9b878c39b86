"""The door a synchronous web server calls."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_shop.settings")
application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # else the first visitor waits for the import of every view
