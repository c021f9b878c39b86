"""Simulated shops, on which the statistics of experiments show whether they keep their promises."""

import os

import django

# Interleaving is the package's own, whose candidates know the shop's catalogue: it needs some settings.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_shop.settings")
django.setup()
