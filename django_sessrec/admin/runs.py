"""Admin pages of training runs and promotions: view, train now, promote, roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
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
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from django_sessrec.admin.acts import Act, Question, asked, may, require
from django_sessrec.admin.base import ReadOnlyAdmin
from django_sessrec.admin.comparison import comparison_page
from django_sessrec.admin.formatting import NONE, fixed, signed
from django_sessrec.admin.run_figures import (
    columns,
    counts,
    figure_rows,
    group_rows,
    learning_curves,
    overall_progress,
    stage_label,
)
from django_sessrec.admin.words import person_name
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import AuditEntry, Promotion, TrainingRun
from django_sessrec.operations.heartbeat import alive
from django_sessrec.serving.active_models import CHECK_SECONDS
from django_sessrec.serving.fallback import BASKET_MODEL, CO_VIEWS_MODEL
from django_sessrec.serving.placements import placement_for, variants_of
from django_sessrec.training.model_card import card, limits
from django_sessrec.training.promotion import PromotionError, held_by, promote, roll_back
from django_sessrec.training.schedule import newest_run

CHARACTERS_IN_LIST = 70
_NO_WORKER = _(
    "No training worker has answered in the last minutes: the run waits for one. “Health and alerts” says"
    " how to start it."
)
LATEST = Promotion.objects.filter(model=OuterRef("model")).order_by("-pk").values("run_id")[:1]


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    """The list of runs, updated while one trains, and a page for each with its figures and curves."""

    list_display = ("run", "started", "badge", "hit_rate", "reciprocal_rank", "took", "why")
    list_per_page = 50
    heading = _("Models")

    class Media:
        css = {"all": ["sessrec/admin-charts.css"]}
        js = [Script("sessrec/admin-live.js", type="module")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingRun]:
        runs: QuerySet[TrainingRun] = super().get_queryset(request).annotate(serving_run=Subquery(LATEST))
        return runs

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("compare/", own(require_GET(self.compare)), name="sessrec_compare"),
            path("train/<str:model>/", own(require_POST(self.train)), name="sessrec_train"),
            path("roll-back/<str:model>/", own(require_POST(self.roll_back)), name="sessrec_roll_back"),
            path("<int:pk>/promote/", own(require_POST(self.promote)), name="sessrec_promote"),
            path("<int:pk>/card/", own(require_GET(self.card)), name="sessrec_card"),
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
        if run.pk == getattr(run, "serving_run", None):  # annotated
            shown = format_html("{} " + badge, shown, "serving", _("serving"))
        running = run.state == TrainingRun.State.RUNNING
        if running:
            shown += format_html(
                ' {} <progress class="sessrec-progress" max="1" value="{}" aria-label="{}">{}%</progress>',
                stage_label(run),
                f"{(done := overall_progress(run)):.3f}",
                _("progress"),
                round(100 * done),
            )
        return _live(run, "state", shown, running)

    @admin.display(description=_("Next click found among 20 (HR@20) and gain"))
    def hit_rate(self, run: TrainingRun) -> str | None:
        return _live(run, "hr", _figure(run, "hr@20"))

    @admin.display(description=_("How high it stands in the list (MRR@20) and gain"))
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
        extra = {
            "models": models,
            "may_train": may(request, Act.TRAIN),
            "may_promote": may(request, Act.PROMOTE),
            **(extra_context or {}),
        }
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
                "serves": (serves := run.pk == getattr(run, "serving_run", None)),
                "earlier": (earlier := Promotion.objects.served_before(run.model) if serves else None),
                "beside": earlier if serves else Promotion.objects.active(run.model),
                "stage": stage_label(run),
                "progress": overall_progress(run),
                "published": run.state == TrainingRun.State.PUBLISHED,
                "may_promote": may(request, Act.PROMOTE),
                "took": duration(run),
                "counts": counts(run),
                "parameters": list(run.parameters.items()),
                "columns": columns(run).values(),
                "figure_rows": figure_rows(run),
                "length_rows": group_rows(run, "by_length"),
                "intent_rows": group_rows(run, "by_intents"),
                # A basket holds each product once: all of its cases are new.
                "new_intent_rows": [] if run.on_baskets else group_rows(run, "by_intents", new=True),
                "limits": limits(run),
                "curves": list(learning_curves(run)),
                "promotions": run.promotions.all(),
            }
        return super().change_view(request, object_id, form_url, extra)

    def compare(self, request: HttpRequest) -> HttpResponse:
        """Two runs on the same clicks."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return comparison_page(self, request)

    def card(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Download the run's model card."""
        run = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        attachment = {"Content-Disposition": f'attachment; filename="{run.model}-{run.pk}.json"'}
        return JsonResponse(card(run), json_dumps_params={"indent": 2}, headers=attachment)

    def train(self, request: HttpRequest, model: str) -> HttpResponse:
        """Queue a training run for the worker; the list shows it as soon as it starts."""
        # Late: the tasks' module brings Celery, which a shop's pages don't need.
        from django_sessrec import tasks

        require(request, Act.TRAIN)
        if model not in sessrec_settings.MODELS:
            raise Http404(model)
        hold = held_by(model)
        question = Question(
            title=_("Train %(model)s now?") % {"model": model},
            button=_("Train %(model)s") % {"model": model},
            back=self._list(),
            sentences=[
                gettext(
                    "A worker trains the model on the clicks so far, and tests it against the one in service."
                ),
                _when_it_serves(hold),
                *([] if alive("train") else [_NO_WORKER]),
            ],
            about=f"{newest_run(model)} {hold.pk if hold else ''}".strip(),
        )
        answer = asked(request, Act.TRAIN, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        by = request.user.get_username()
        try:
            tasks.queue_training(model, by)
        except Exception as error:  # the broker's own errors differ by transport
            self.message_user(
                request,
                _("The training run could not be queued. Is the broker running? %(error)s")
                % {"error": error},
                messages.ERROR,
            )
            return HttpResponseRedirect(self._list())
        AuditEntry.objects.note(AuditEntry.Action.TRAIN, by, reason=answer["reason"], model=model)
        queued = _("A training run of %(model)s is queued; it appears below when a worker starts it.")
        self.message_user(request, queued % {"model": model}, messages.SUCCESS)
        return HttpResponseRedirect(self._list() + "#sessrec-queued")

    def promote(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and let this run serve its model."""
        require(request, Act.PROMOTE)
        run = get_object_or_404(self.get_queryset(request), pk=pk)
        back = reverse(f"{self.admin_site.name}:sessrec_trainingrun_change", args=[pk])
        if Promotion.objects.active(run.model) == run:
            self.message_user(request, _("%(run)s serves already.") % {"run": run})
            return HttpResponseRedirect(back)
        answer = asked(request, Act.PROMOTE, self, _promotion_question(run, back))
        if isinstance(answer, HttpResponse):
            return answer
        by, reason = request.user.get_username(), answer["reason"]
        if self._change(request, lambda: promote(run, by, reason)):
            AuditEntry.objects.note(AuditEntry.Action.PROMOTE, by, reason=reason, run=str(run))
        return HttpResponseRedirect(back)

    def roll_back(self, request: HttpRequest, model: str) -> HttpResponse:
        """Ask, and let the run serve again that served before."""
        require(request, Act.PROMOTE)
        by, reason = request.user.get_username(), ""
        if earlier := Promotion.objects.served_before(model):
            answer = asked(request, Act.PROMOTE, self, _roll_back_question(model, earlier, self._list()))
            if isinstance(answer, HttpResponse):
                return answer
            reason = answer["reason"]
        if self._change(request, lambda: roll_back(model, by, reason)):
            AuditEntry.objects.note(AuditEntry.Action.ROLL_BACK, by, reason=reason, run=str(earlier))
        return HttpResponseRedirect(self._list())

    def _change(self, request: HttpRequest, change: Callable[[], Promotion]) -> bool:
        """Make the change and say what serves now, or why nothing changed; whether it did."""
        try:
            promotion = change()
        except PromotionError as error:
            self.message_user(request, str(error), messages.ERROR)
            return False
        serves = _("%(run)s serves now; web processes take it up within %(seconds)d seconds.")
        words = {"run": promotion.run, "seconds": CHECK_SECONDS}
        self.message_user(request, serves % words, messages.SUCCESS)
        return True

    def _list(self) -> str:
        return reverse(f"{self.admin_site.name}:sessrec_trainingrun_changelist")


@admin.register(Promotion)
class PromotionAdmin(ReadOnlyAdmin):
    """The audit trail of what served when."""

    list_display = fields = ("promoted_at", "model", "run", "by", "reason")
    readonly_fields = ("by",)
    list_filter = ("model",)
    list_select_related = ("run",)

    @admin.display(description=_("promoted by"))
    def by(self, promotion: Promotion) -> str:
        return person_name(promotion.promoted_by)


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
    """What the list says of one model: its latest promotion, the run to go back to, or who stands in."""
    latest = Promotion.objects.filter(model=model).select_related("run").order_by("-pk").first()
    if latest is None:
        return {"name": model, **_instead_of(model)}
    serves = {"name": model, "promotion": latest, "earlier": Promotion.objects.served_before(model)}
    return serves | ({"held": True, "newer": _newer_than_any_that_served(model)} if held_by(model) else {})


def _newer_than_any_that_served(model: str) -> TrainingRun | None:
    """The run whose promotion lets the next training runs serve by themselves again.

    The one that somebody rolled back from is none.
    """
    published = TrainingRun.objects.filter(model=model, state=TrainingRun.State.PUBLISHED)
    newest_served = Promotion.objects.filter(model=model).order_by("-run_id").values("run_id")[:1]
    return published.filter(pk__gt=Subquery(newest_served)).order_by("-pk").first()


def _when_it_serves(hold: Promotion | None) -> str:
    """What becomes of a training run that passes."""
    if hold is None:
        return gettext("It serves as soon as it passes; lists are shown as usual until then.")
    return gettext(
        "It does not serve by itself when it passes: %(by)s rolled back to %(run)s, which stays in service as"
        " long as it can. Promote the new run on its page to let it serve."
    ) % {"by": person_name(hold.promoted_by), "run": hold.run}


def _instead_of(model: str) -> dict[str, Any]:
    """Who answers where this model does not: another one of a placement of which a run serves."""
    lists = [each for each in _lists_of_models() if model in each]
    stand_in = next((each for each in chain(*lists) if Promotion.objects.active(each)), None)
    return {"stand_in": stand_in, "unused": not lists and model not in {BASKET_MODEL, CO_VIEWS_MODEL}}


def _lists_of_models() -> Iterator[Sequence[str]]:
    """The models of each placement and of each variant."""
    for name in sessrec_settings.PLACEMENTS:
        yield placement_for(name).models
        yield from (each.placement.models for each in variants_of(name))


def _figure(run: TrainingRun, key: str) -> str | None:
    """The run's figure, and how much it is above what served then, which was tested on the same days.

    Runs are tested on different days: their figures can't be held against each other.
    """
    value, served = (run.figures.get(whose, {}).get(key) for whose in ("candidate", "incumbent"))
    if value is None:
        return None
    if served is None:
        return fixed(value, 2)
    gain = signed(value - served, 2)
    return format_html('{} <small class="sessrec-quiet">{}</small>', fixed(value, 2), gain)


def _live(run: TrainingRun, name: str, shown: str | None, running: bool = False) -> str:
    """A part of the list that admin-live.js keeps up to date."""
    mark = mark_safe(" data-sessrec-running") if running else ""
    return format_html(
        '<span id="sessrec-run-{}-{}" data-sessrec-live{}>{}</span>', run.pk, name, mark, shown or NONE
    )


def _promotion_question(run: TrainingRun, back: str) -> Question:
    present = Promotion.objects.active(run.model)
    sentences = [gettext("%(run)s serves from now on.") % {"run": run}]
    if present and present != run:
        sentences = [
            gettext("%(present)s serves now. After the promotion %(run)s serves in its place.")
            % {"present": present, "run": run}
        ]
    return Question(
        title=gettext("Promote %(run)s?") % {"run": run},
        button=gettext("Promote %(run)s") % {"run": run},
        back=back,
        page=str(run),
        sentences=[*sentences, *filter(None, [run.verdict])],
        about=str(present),
    )


def _roll_back_question(model: str, earlier: TrainingRun, back: str) -> Question:
    sentence = gettext(
        "%(present)s serves now. After the rollback %(earlier)s serves again. As long as it can, no later"
        " training run replaces it until a newer run is promoted."
    )
    words = {"present": Promotion.objects.active(model), "earlier": earlier}
    return Question(
        title=gettext("Roll back %(model)s?") % {"model": model},
        button=gettext("Roll back to %(earlier)s") % {"earlier": earlier},
        back=back,
        sentences=[sentence % words, *filter(None, [earlier.verdict])],
        about=str(words["present"]),
    )
