"""The tab strip of the admin's pages: those that exist here and that this person may see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_sessrec import models


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of the strip: the name of its address in the admin, and who sees it."""

    label: str | Promise
    name: str
    permission: str
    url: str = ""
    chosen: bool = False


TABS = (
    Tab(_("Today"), "app_list", "sessrec.view_report"),
    Tab(_("Placements"), "sessrec_ruleset_changelist", "sessrec.view_ruleset"),
    Tab(_("Experiments"), "sessrec_experiment_changelist", "sessrec.view_experiment"),
    Tab(_("Models"), "sessrec_trainingrun_changelist", "sessrec.view_trainingrun"),
    Tab(_("Inspector"), "sessrec_inspector_changelist", "sessrec.view_inspector"),
    Tab(_("Products and data"), "sessrec_products", "sessrec.view_report"),
    Tab(_("Health and alerts"), "sessrec_heartbeat_changelist", "sessrec.view_heartbeat"),
)
RAW = (
    models.Event,
    models.Impression,
    models.FailedEvent,
    models.Quarantine,
    models.Promotion,
    models.AuditEntry,
)


def strip(request: HttpRequest) -> tuple[list[Tab], list[Tab]]:
    """The pages, and the lists of raw data; the one that the request is about is chosen."""
    raw = [
        Tab(
            model._meta.verbose_name_plural or "",
            f"sessrec_{model._meta.model_name}_changelist",
            f"sessrec.view_{model._meta.model_name}",
        )
        for model in RAW
    ]
    pages, lists = _reachable(request, TABS), _reachable(request, raw)
    within = [tab.url for tab in (*pages, *lists) if request.path.startswith(tab.url)]
    nearest = max(within, key=len, default="")
    return [_marked(tab, nearest) for tab in pages], [_marked(tab, nearest) for tab in lists]


def _reachable(request: HttpRequest, tabs: tuple[Tab, ...] | list[Tab]) -> list[Tab]:
    found = []
    for tab in tabs:
        if request.user.has_perm(tab.permission):
            kwargs = {"app_label": "sessrec"} if tab.name == "app_list" else None
            try:
                url = reverse(f"admin:{tab.name}", kwargs=kwargs, current_app=_site(request))
            except NoReverseMatch:  # the shop took the page out of its admin
                continue
            found.append(replace(tab, url=url))
    return found


def _marked(tab: Tab, nearest: str) -> Tab:
    return replace(tab, chosen=tab.url == nearest)


def _site(request: HttpRequest) -> str | None:
    """The admin site that answers, of several."""
    return getattr(request, "current_app", None)
