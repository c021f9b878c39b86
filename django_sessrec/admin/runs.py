"""Trainings and what serves: look, train now, promote, roll back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.formatting import NONE, fixed
from django_sessrec.admin.run_figures import columns, counts, figure_rows, group_rows, learning_curves
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Promotion, TrainingRun
from django_sessrec.training.model_card import card, limits
from django_sessrec.training.promotion import PromotionError, promote, roll_back

CHARACTERS_IN_LIST = 70
LATEST = Promotion.objects.filter(model=OuterRef("model")).order_by("-pk").values("run_id")[:1]


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    """The runs as a list that moves while one trains, and each with its figures and curves."""

    list_display = ("run", "started", "badge", "hit_rate", "reciprocal_rank", "took", "why")
    list_per_page = 50

    class Media:
        css = {"all": ["sessrec/admin.css", "sessrec/admin-charts.css"]}
        js = [Script("sessrec/admin-live.js", type="module")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingRun]:
        return super().get_queryset(request).annotate(serving_run=Subquery(LATEST))

    def get_urls(self) -> list[URLPattern]:
        views = {"train/<str:model>/": self.train, "roll-back/<str:model>/": self.roll_back}
        return [
            *(
                path(route, self.admin_site.admin_view(require_POST(view)), name=f"sessrec_{view.__name__}")
                for route, view in {**views, "<int:pk>/promote/": self.promote}.items()
            ),
            path("<int:pk>/card/", self.admin_site.admin_view(require_GET(self.card)), name="sessrec_card"),
            *super().get_urls(),
        ]

    @admin.display(description=_("run"))
    def run(self, run: TrainingRun) -> str:
        return str(run)

    @admin.display(description=_("started"))
    def started(self, run: TrainingRun) -> str:
        at = timezone.localtime(run.started_at or run.created_at)
        return _live(run, "started", date_format(at, "SHORT_DATETIME_FORMAT"))

    @admin.display(description=_("state"))
    def badge(self, run: TrainingRun) -> str:
        """The state, while it trains the stage and a bar, and whether it serves."""
        badge = '<span class="sessrec-badge sessrec-{}">{}</span>'
        shown = format_html(badge, run.state, run.get_state_display())
        if run.pk == run.serving_run:
            shown = format_html("{} " + badge, shown, "serving", _("serving"))
        running = run.state == TrainingRun.State.RUNNING
        if running:
            shown += format_html(
                ' {} <progress class="sessrec-progress" max="1" value="{}" aria-label="{}">{}%</progress>',
                run.stage,
                f"{run.progress:.3f}",
                _("progress"),
                round(100 * run.progress),
            )
        return _live(run, "state", shown, running)

    @admin.display(description="HR@20")
    def hit_rate(self, run: TrainingRun) -> str | None:
        return _live(run, "hr", _figure(run, "hr@20"))

    @admin.display(description="MRR@20")
    def reciprocal_rank(self, run: TrainingRun) -> str | None:
        return _live(run, "mrr", _figure(run, "mrr@20"))

    @admin.display(description=_("took"))
    def took(self, run: TrainingRun) -> str | None:
        return _live(run, "took", duration(run))

    @admin.display(description=_("verdict"))
    def why(self, run: TrainingRun) -> str:
        words = run.verdict or run.error.strip().rpartition("\n")[2]
        return _live(run, "why", Truncator(words).chars(CHARACTERS_IN_LIST))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        models = [_serving(model) for model in sessrec_settings.MODELS]
        extra = {"models": models, "may_change": may_change(request), **(extra_context or {})}
        return super().changelist_view(request, extra)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        extra = extra_context or {}
        if run := self.get_object(request, object_id):
            extra |= {
                "run": run,
                "running": run.state == TrainingRun.State.RUNNING,
                "serves": run.pk == run.serving_run,
                "published": run.state == TrainingRun.State.PUBLISHED,
                "may_change": may_change(request),
                "took": duration(run),
                "counts": counts(run),
                "parameters": list(run.parameters.items()),
                "columns": columns(run).values(),
                "figure_rows": figure_rows(run),
                "length_rows": group_rows(run, "by_length"),
                "intent_rows": group_rows(run, "by_intents"),
                "limits": limits(run),
                "curves": list(learning_curves(run)),
                "promotions": run.promotions.all(),
            }
        return super().change_view(request, object_id, form_url, extra)

    def card(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Download the run's model card."""
        run = get_object_or_404(self.get_queryset(request), pk=pk)
        _refuse_unless(self.has_view_permission(request, run))
        attachment = {"Content-Disposition": f'attachment; filename="{run.model}-{run.pk}.json"'}
        return JsonResponse(card(run), json_dumps_params={"indent": 2}, headers=attachment)

    def train(self, request: HttpRequest, model: str) -> HttpResponse:
        """Queue a training on the worker's queue; the list shows it as soon as it starts."""
        # Late: the tasks' module brings Celery, which a shop's pages don't need.
        from django_sessrec import tasks

        _refuse_unless(may_change(request))
        if model not in sessrec_settings.MODELS:
            raise Http404(model)
        try:
            tasks.queue_training(model, request.user.get_username())
        except Exception as error:  # the broker's own errors differ by transport
            self.message_user(
                request,
                _("The training could not be queued, is the broker running? %(error)s") % {"error": error},
                messages.ERROR,
            )
            return self._to_list()
        queued = _("A training of %(model)s is queued; it shows below when a worker takes it up.")
        self.message_user(request, queued % {"model": model}, messages.SUCCESS)
        return self._to_list("#sessrec-queued")

    def promote(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let this run serve its model."""
        _refuse_unless(may_change(request))
        run = get_object_or_404(self.get_queryset(request), pk=pk)
        self._change(request, lambda: promote(run, request.user.get_username(), _("promoted in the admin")))
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:sessrec_trainingrun_change", args=[pk]))

    def roll_back(self, request: HttpRequest, model: str) -> HttpResponse:
        """Let the run serve again that served before."""
        _refuse_unless(may_change(request))
        self._change(request, lambda: roll_back(model, request.user.get_username()))
        return self._to_list()

    def _change(self, request: HttpRequest, change: Callable[[], Promotion]) -> None:
        """Make the change and say what serves now, or why nothing changed."""
        try:
            promotion = change()
        except PromotionError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            serves = _("%(run)s serves now; web processes take it up within %(seconds)d seconds.")
            words = {"run": promotion.run, "seconds": sessrec_settings.ACTIVE_CHECK_SECONDS}
            self.message_user(request, serves % words, messages.SUCCESS)

    def _to_list(self, fragment: str = "") -> HttpResponse:
        return HttpResponseRedirect(
            reverse(f"{self.admin_site.name}:sessrec_trainingrun_changelist") + fragment
        )


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """The audit trail of what served when."""

    list_display = ("promoted_at", "model", "run", "promoted_by", "reason")
    list_filter = ("model",)
    list_select_related = ("run",)


def may_change(request: HttpRequest) -> bool:
    """Whether this person may decide what serves."""
    return request.user.has_perm("sessrec.change_trainingrun")


def duration(run: TrainingRun) -> str | None:
    """How long the run took, or has taken so far."""
    if run.started_at is None:
        return None
    seconds = ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return _("%(seconds)s s") % {"seconds": fixed(seconds, 1)}


def _serving(model: str) -> dict[str, Any]:
    """What the list says of one model: the latest promotion, and whether there is one to go back to."""
    trail = Promotion.objects.filter(model=model).select_related("run").order_by("-pk")
    latest = trail.first()
    earlier = latest and trail.exclude(run=latest.run).exists()
    return {"name": model, "promotion": latest, "earlier": earlier}


def _figure(run: TrainingRun, key: str) -> str | None:
    value = run.figures.get("candidate", {}).get(key)
    return None if value is None else fixed(value, 2)


def _live(run: TrainingRun, name: str, shown: str | None, running: bool = False) -> str:
    """A part of the list that admin-live.js keeps up to date."""
    mark = mark_safe(" data-sessrec-running") if running else ""
    return format_html(
        '<span id="sessrec-run-{}-{}" data-sessrec-live{}>{}</span>', run.pk, name, mark, shown or NONE
    )


def _refuse_unless(allowed: bool) -> None:
    if not allowed:
        raise PermissionDenied
