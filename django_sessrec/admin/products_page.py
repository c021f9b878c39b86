"""Products and data: readiness in steps, the catalogue's quality, and whose visits count."""

from __future__ import annotations

from datetime import date

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from django_sessrec.admin.formatting import NONE, Cell, percent, period, whole
from django_sessrec.admin.products import shown_products
from django_sessrec.measuring.kpis import Kpi, Pages, Sessions, counted_days, figures, pages, sessions
from django_sessrec.models import Withdrawal
from django_sessrec.operations.catalogue_quality import DAYS, Quality, quality
from django_sessrec.operations.readiness import steps, sum_of
from django_sessrec.safety import never_raises

NO_QUALITY = Quality(0, ())


def products_page(model_admin: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    found = _quality()
    products = shown_products(item_id for group in found.groups for item_id in group.item_ids)
    setup = steps()
    context = model_admin.admin_site.each_context(request) | {
        "title": _("Products and data"),
        "inspector": _inspector(model_admin, request),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "setup": setup,
        "done": sum(step.done for step in setup),
        "looked_at": found.looked_at,
        "looked_at_words": whole(found.looked_at),
        "groups": [
            {"group": group, "products": [products[item_id] for item_id in group.item_ids]}
            for group in found.groups
        ],
        "cards": _visitors(*(days := counted_days(DAYS))),
        "period": period(*days),
    }
    return TemplateResponse(request, "admin/sessrec/products.html", context)


def _inspector(model_admin: admin.ModelAdmin, request: HttpRequest) -> str:
    """The inspector's address; empty for whom it is not, or where the shop took it out."""
    if not request.user.has_perm("sessrec.view_inspector"):
        return ""
    try:
        return reverse(f"{model_admin.admin_site.name}:sessrec_inspector_changelist")
    except NoReverseMatch:
        return ""


@never_raises("look at the catalogue's quality", default=NO_QUALITY)
def _quality() -> Quality:
    return quality()


def _visitors(start: date, end: date) -> list[tuple[str, Cell]]:
    """Whose visits count in these days."""
    shop = sum_of(Sessions, sessions(start, end).values())
    seen_pages = sum_of(Pages, pages(start, end).values())
    whole_shop = figures(start, end).get((), Kpi())
    every = shop.sessions + shop.bots + shop.quarantined
    seen = whole_shop.rate("viewability").value
    return [
        (
            _("Sessions with consent"),
            Cell(whole(shop.sessions), _("others leave no row: of them only pages are counted")),
        ),
        (_("Pages with consent"), _consent(seen_pages)),
        (
            _("Withdrawn or erased"),
            Cell(whole(Withdrawal.objects.count()), _("sessions of the retention time")),
        ),
        (_("Bots"), _share(shop.bots, every)),
        (_("Quarantined"), _share(shop.quarantined, every)),
        (_("With a list"), _share(shop.with_list, shop.sessions)),
        (_("Lists not seen"), Cell(percent(1 - seen), _("nobody scrolled to them")) if seen else Cell(NONE)),
    ]


def _consent(seen: Pages) -> Cell:
    """The share of people's pages that figures and training know of."""
    share = seen.consent_share
    if share is None:
        return Cell(NONE, _("counted from the first product page on"))
    people = seen.with_consent + seen.without_consent
    return Cell(percent(share), _("of %s pages") % whole(people))


def _share(part: int, of: int) -> Cell:
    return Cell(percent(part / of), whole(part)) if of else Cell(NONE)
