"""{% load sessrec_admin %}: parts of the admin's own pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

register = template.Library()


@register.inclusion_tag("admin/sessrec/includes/tabs.html", takes_context=True)
def sessrec_tabs(context: Context) -> dict[str, Any]:
    """The tab strip."""
    # Django imports the tags of every app with the first template, also where the admin is not installed.
    from django_sessrec.admin.tabs import strip

    request = context.get("request")
    pages, raw = strip(request) if request is not None else ([], [])
    return {"tabs": pages, "raw": raw, "raw_chosen": any(tab.chosen for tab in raw)}
