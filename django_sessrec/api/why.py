"""GET why/: the public page that explains each placement's list."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_sessrec.api.views import level_of, tracker_of
from django_sessrec.capture import cookie
from django_sessrec.capture.consent import SESSION
from django_sessrec.conf import sessrec_settings
from django_sessrec.privacy.explanation import Explanation, explain, explain_visit
from django_sessrec.safety import isolated


@never_cache
@require_safe
def why(request: HttpRequest) -> HttpResponse:
    """Not cached: it follows the settings, and shows the visitor's own choice."""
    level, tracker = level_of(request), tracker_of(request)
    return render(
        request,
        "sessrec/why.html",
        {
            "request": request,  # for the tags, in a shop without the context processor
            "explanations": _explanations(cookie.read(request) if level == SESSION else None),
            "visit": explain_visit(level, request),
            "earlier_kept": tracker is not None and tracker.earlier_session_stays,
        },
    )


def _explanations(session_id: UUID | None) -> list[Explanation]:
    """Of every placement; one with a mistake in its settings is logged and left out."""
    explanations = []
    for placement in sessrec_settings.PLACEMENTS:
        with isolated(f"explain the placement {placement!r}"):
            explanations.append(explain(placement, session_id))
    return explanations
