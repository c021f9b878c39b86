"""Admin pages of experiments: the list, one experiment with its verdict, and the acts of its life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from django_sessrec.admin import experiment_words as words
from django_sessrec.admin.acts import Act, Question, ReasonForm, asked, may, require
from django_sessrec.admin.base import GoneError, ReadOnlyAdmin
from django_sessrec.admin.experiment_forms import (
    FEWEST,
    ExperimentForm,
    create,
    ramp_form,
    stop_form,
    variants_form,
)
from django_sessrec.admin.experiment_lengths import by_session_length
from django_sessrec.admin.formatting import money, whole
from django_sessrec.admin.words import placement_name
from django_sessrec.experiment_models import INTERLEAVED, Experiment
from django_sessrec.measuring.report import counted_up_to
from django_sessrec.measuring.rollups import roll_up_due
from django_sessrec.measuring.sequences import TUNED_FOR
from django_sessrec.measuring.verdicts import Judgement
from django_sessrec.operations import experiments as room
from django_sessrec.operations.declared_experiments import declared_on, stands_in_place_of
from django_sessrec.operations.experiments import ExperimentError
from django_sessrec.operations.heartbeat import schedule_runs
from django_sessrec.safety import isolated
from django_sessrec.serving.shadow import shadow

ROLL_UP_SECONDS: Final = 2.0  # that a page waits for today's figures
SHOWN: Final = 100  # experiments in the list
State = Experiment.State


@admin.register(Experiment)
class ExperimentAdmin(ReadOnlyAdmin):
    """Pages of its own in place of Django's list and form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # by new_view, with the variants beside it

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("new/", own(self.new_view), name="sessrec_experiment_new"),
            path("<int:pk>/start/", own(require_POST(self.start_view)), name="sessrec_experiment_start"),
            path("<int:pk>/ramp/", own(require_POST(self.ramp_view)), name="sessrec_experiment_ramp"),
            path("<int:pk>/stop/", own(require_POST(self.stop_view)), name="sessrec_experiment_stop"),
            path("<int:pk>/keep/", own(require_POST(self.keep_view)), name="sessrec_experiment_keep"),
            path(
                "<int:pk>/discard/", own(require_POST(self.discard_view)), name="sessrec_experiment_discard"
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        with isolated("take in the experiments that the settings declare"):
            room.take_in_declared()
        roll_up_due(ROLL_UP_SECONDS)
        rows = [_row(each) for each in Experiment.objects.prefetch_related("variants")[:SHOWN]]
        rows.sort(key=lambda row: not row["experiment"].is_open)
        context = self._context(request, _("Experiments")) | {
            "rows": rows,
            "counted_at": counted_up_to(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sessrec/experiments.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        experiment = self.get_object(request, object_id)
        if not self.has_view_permission(request, experiment):
            raise PermissionDenied
        if experiment is None:
            raise self._gone()
        roll_up_due(ROLL_UP_SECONDS)
        judged = room.judgement(experiment)
        context = self._context(request, experiment.name) | {
            **_row(experiment, judged),
            "figures": words.figures(experiment, judged),
            "arms": _arms(experiment, judged),
            "by_length": by_session_length(experiment),
            "counted_at": counted_up_to() if experiment.is_open and judged.sessions else None,
            "beside": _beside(experiment),
            "split": words.split(judged),
            "removed": judged.removed,
            "plan": self._plan(experiment),
            "cap": money({experiment.currency: experiment.cap}) if experiment.cap else "",
            "shadows": words.shadows(shadow(experiment.placement)) if _in_shadow(experiment) else [],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sessrec/experiment.html", context)

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """A form for a draft; nothing is served from it yet."""
        require(request, Act.EXPERIMENT)
        given = request.POST if request.method == "POST" else None
        form, variants = ExperimentForm(given), variants_form(given)
        if given is not None and form.is_valid() and variants.is_valid():
            try:
                experiment = create(form, variants, request.user.get_username())
            except ValidationError as error:
                form.add_error("name", error)
            else:
                room.note("created", experiment, request.user.get_username(), form.cleaned_data["reason"])
                return HttpResponseRedirect(self._page(experiment))
        context = self._context(request, _("New experiment")) | {
            "form": form,
            "variants": variants,
            "more": given is not None and any(each.has_changed() for each in variants.forms[FEWEST:]),
            "list": self._list(),
        }
        return TemplateResponse(request, "admin/sessrec/experiment_form.html", context)

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        experiment = self._experiment(request, pk)
        waits = room.waits_for(experiment)
        sentences = [
            _("Each session that takes part gets one variant and keeps it."),
            self._plan(experiment),
        ]
        if declared := declared_on(experiment.placement):
            sentences.append(words.pauses(declared))
        if waits:
            if schedule_runs():
                waiting = _("It waits until a run of %s serves, and begins by itself.")
            else:
                waiting = _("It waits until a run of %s serves.") + f" {words.needs_schedule()}"
            sentences.append(waiting % ", ".join(waits))
        question = Question(
            title=_("Start “%(name)s”?") % {"name": experiment},
            button=_("Start"),
            back=self._page(experiment),
            page=experiment.name,
            sentences=sentences,
        )
        return self._act(request, experiment, question, "started", lambda _answer: room.start(experiment))

    def ramp_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        experiment = self._experiment(request, pk)
        question = Question(
            title=_("How many sessions take part in “%(name)s”?") % {"name": experiment},
            button=_("Change"),
            back=self._page(experiment),
            page=experiment.name,
            sentences=[
                _("With more, those that take part already keep their variant."),
                _(
                    "With fewer, those beyond the new share see the placement without the experiment from"
                    " their next page on, and still count for the variant that they have had."
                ),
            ],
            facts=[(_("Now"), words.part(experiment.part))],
            about=str(experiment.part),
        )
        return self._act(
            request,
            experiment,
            question,
            room.RAMPED,
            lambda answer: room.ramp(experiment, answer["part"]),
            ramp_form(experiment.part),
        )

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        experiment, by = self._experiment(request, pk), request.user.get_username()
        question = Question(
            title=_("Stop “%(name)s”?") % {"name": experiment},
            button=_("Stop"),
            back=self._page(experiment),
            page=experiment.name,
            sentences=[_("Its figures stay; it can't be started again."), *_goes_on(experiment)],
        )
        return self._act(
            request,
            experiment,
            question,
            "stopped",
            lambda answer: room.stop(experiment, answer["reason"], answer["keep"], by),
            stop_form(experiment),
        )

    def keep_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        experiment, by = self._experiment(request, pk), request.user.get_username()
        question = Question(
            title=_("What does everybody get after “%(name)s”?") % {"name": experiment},
            button=_("Change"),
            back=self._page(experiment),
            page=experiment.name,
            sentences=_goes_on(experiment),
            about=f"kept: {experiment.kept}",
        )
        return self._act(
            request,
            experiment,
            question,
            "kept",
            lambda answer: room.keep(experiment, answer["keep"], by),
            stop_form(experiment),
        )

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        experiment = self._experiment(request, pk)
        question = Question(
            title=_("Discard the draft “%(name)s”?") % {"name": experiment},
            button=_("Discard"),
            back=self._page(experiment),
            page=experiment.name,
        )
        return self._act(
            request,
            experiment,
            question,
            "discarded",
            lambda _answer: room.discard(experiment),
            to=self._list(),
        )

    def _experiment(self, request: HttpRequest, pk: int) -> Experiment:
        require(request, Act.EXPERIMENT)
        experiment: Experiment | None = Experiment.objects.filter(pk=pk).first()
        if experiment is None:
            raise self._gone()
        return experiment

    def _gone(self) -> GoneError:
        return GoneError(_("There is no such experiment. It may have been discarded."), self._list())

    def _act(
        self,
        request: HttpRequest,
        experiment: Experiment,
        question: Question,
        change: str,
        do: Callable[[dict[str, Any]], None],
        form: type[ReasonForm] = ReasonForm,
        to: str = "",
    ) -> HttpResponse:
        """Ask, do it, note it in the audit trail; or say why it can't be done."""
        answer = asked(request, Act.EXPERIMENT, self, question, form)
        if isinstance(answer, HttpResponse):
            return answer
        name = experiment.name
        try:
            do(answer)
        except ExperimentError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(self._page(experiment))
        detail = {key: value for key, value in answer.items() if key != "reason"}
        room.note(change, experiment, request.user.get_username(), answer["reason"], **detail)
        said = _("The draft is discarded.") if change == "discarded" else _("“%(name)s” is changed.")
        self.message_user(request, said % {"name": name}, messages.SUCCESS)
        return HttpResponseRedirect(to or self._page(experiment))

    def _plan(self, experiment: Experiment) -> str:
        if experiment.kind == Experiment.Kind.INTERLEAVING:
            return _("Interleaving takes about a tenth of the sessions of an A/B test.")
        if experiment.is_counted and experiment.tuned_for:
            if experiment.tuned_for == TUNED_FOR:  # which stands for an unknown plan, too
                return _("Unknown: too few sessions of this placement before it began.")
            return _("%s sessions") % whole(experiment.tuned_for)
        planned = room.plan(experiment)
        return words.duration(planned, experiment.part)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "may_run": may(request, Act.EXPERIMENT),
        }

    def _list(self) -> str:
        return reverse(f"{self.admin_site.name}:sessrec_experiment_changelist")

    def _page(self, experiment: Experiment) -> str:
        return reverse(f"{self.admin_site.name}:sessrec_experiment_change", args=[experiment.pk])


def _goes_on(experiment: Experiment) -> list[str]:
    """What an answer about what everybody gets does to an experiment that the settings declare there."""
    declared, other = declared_on(experiment.placement), room.open_on(experiment.placement)
    if not declared or (other is not None and other != experiment):
        return []
    anew = _(
        "If the placement changes for everybody, “%(name)s” is counted anew: its sessions saw other lists."
    )
    return [words.goes_on(declared), anew % {"name": declared}]


def _beside(experiment: Experiment) -> str:
    """What the page says of an experiment that the settings declare on the same placement."""
    if experiment.declared or not (declared := declared_on(experiment.placement)):
        return ""
    if experiment.state != State.STOPPED:
        return words.pauses(declared)
    of_placement = Experiment.objects.filter(placement=experiment.placement, declared=False)
    return "" if of_placement.filter(state=State.RUNNING).exists() else words.goes_on(declared)


def _in_shadow(experiment: Experiment) -> bool:
    """Whether it is a pilot that changes no page yet."""
    return experiment.state == State.RUNNING and experiment.part == 0


def _row(experiment: Experiment, judged: Judgement | None = None) -> dict[str, Any]:
    """What the list and the page say of one experiment."""
    judged = judged or room.judgement(experiment)
    waits = room.waits_for(experiment) if experiment.state == State.WAITING else []
    paused_for = stands_in_place_of(experiment)
    return {
        "experiment": experiment,
        "name": experiment.name,
        "placement": placement_name(experiment.placement),
        "sentence": words.sentence(experiment, judged, waits, paused_for),
        "paused": paused_for is not None,
        "verdict": judged.verdict.name.lower(),
        "sessions": judged.sessions,
        "sessions_words": whole(judged.sessions),
        "part": words.part(experiment.part),
    }


def _arms(experiment: Experiment, judged: Judgement) -> list[dict[str, Any]]:
    """The variants with their shares, sessions, and how much each one's own model answered."""
    variants = list(experiment.variants.all())
    whole_share = sum(each.share for each in variants) or 1
    mixed = judged.arms.get(INTERLEAVED)
    rows = []
    for each in variants:
        arm = mixed or judged.arms.get(each.name)
        rows.append(
            {
                "variant": each,
                "changes": words.changes(each),
                "share": words.part(each.share / whole_share),
                "sessions": whole(arm.sessions) if arm else whole(0),
                "answered": words.answered(arm) if arm and (each.model or each.holdout) else "",
            }
        )
    return rows
