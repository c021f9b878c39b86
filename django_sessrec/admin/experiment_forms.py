"""Forms of experiments: a new one with its variants, a ramp, a stop."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import F
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_sessrec import database
from django_sessrec.admin.acts import ReasonForm
from django_sessrec.admin.experiment_words import changes, part
from django_sessrec.admin.formatting import NONE
from django_sessrec.admin.placement_lists import settled_as
from django_sessrec.admin.words import placement_name
from django_sessrec.conf import sessrec_settings
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.experiment_models import INTERLEAVED, Experiment, Variant
from django_sessrec.serving.fallback import hears_models

PARTS: Final = ((0.1, "10 %"), (0.25, "25 %"), (0.5, "50 %"), (1.0, "100 %"))
SHADOW: Final = ("0", _("0 %: nobody, as in a pilot's shadow"))
FEWEST, MOST = 2, 5  # variants
FIRST: Final = "model_1"
# Fields of a variant's models; each model answers where those before it can't.
ASKED: Final = {FIRST: _("First model"), "model_2": _("Second model"), "model_3": _("Third model")}


class ExperimentForm(ReasonForm):
    """What is asked of a new experiment; the placement can't be changed afterwards."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("A question, such as: Does the ranker pay?")
    )
    placement = forms.ChoiceField(label=_("Placement"))
    kind = forms.ChoiceField(label=_("Kind"), choices=Experiment.Kind.choices)
    goal = forms.ChoiceField(
        label=_("Decided by"), choices=Experiment.Goal.choices, initial=Experiment.Goal.ORDERS
    )
    effect = forms.FloatField(
        label=_("Smallest difference worth finding, in per cent"),
        initial=5,
        min_value=0.5,
        max_value=100,
        help_text=_("The smaller, the longer it takes: a half takes four times as long."),
    )
    stops_itself = forms.BooleanField(
        label=_("Stop by itself when no variant is as good as the control"),
        required=False,
        initial=True,
        help_text=_(
            "Also when one surely has fewer full lists, more refunds or slower lists. A pilot always does."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["placement"].choices = [  # type: ignore[attr-defined]
            (name, placement_name(name)) for name in sessrec_settings.PLACEMENTS
        ]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        declared = (sessrec_settings.placement(each)["EXPERIMENT"] for each in sessrec_settings.PLACEMENTS)
        taken = name in {each["NAME"] for each in declared if each}
        if taken or Experiment.objects.filter(name=name).exists():
            raise ValidationError(_("Another experiment has this name: choose a new one."))
        return name


class VariantForm(forms.Form):
    """One variant: its share and what it changes; the first one is the control."""

    template_name = "admin/sessrec/includes/fields.html"
    name = forms.CharField(label=_("Name"), max_length=40)
    share = forms.FloatField(label=_("Share"), initial=50, min_value=0, max_value=1_000_000)
    limit = forms.IntegerField(
        label=_("Length of the list"), required=False, min_value=1, max_value=MAX_LIMIT
    )
    holdout = forms.BooleanField(label=_("No recommendations at all (holdout)"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(name, name) for name in sessrec_settings.MODELS]
        for field, label in list(ASKED.items())[: len(known)]:
            none = _("as the placement is now") if field == FIRST else NONE
            self.fields[field] = forms.ChoiceField(label=label, required=False, choices=[("", none), *known])
        self.order_fields(["name", "share", *ASKED])

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        if name == INTERLEAVED:
            raise ValidationError(_("This name is taken: choose another."))
        return name

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.models and not given.get(FIRST):
            self.add_error(FIRST, _("Choose the first model, too."))
        return given

    @property
    def models(self) -> list[str]:
        """The chosen models in the order in which they are asked."""
        return list(dict.fromkeys(filter(None, map(self.cleaned_data.get, ASKED))))

    @property
    def changes(self) -> dict[str, Any]:
        """Keys of a placement."""
        given = {"MODELS": self.models, "LIMIT": self.cleaned_data["limit"]}
        return {key: value for key, value in given.items() if value}


class BaseVariants(forms.BaseFormSet):
    """The variants of one experiment, as far as each is filled in."""

    kind = goal = placement = ""

    def clean(self) -> None:
        if any(self.errors):
            return
        chosen = self.filled()
        shares = [form.cleaned_data["share"] for form in chosen]
        holdouts = [form.cleaned_data["holdout"] for form in chosen]
        with_lists = [share for held, share in zip(holdouts, shares, strict=True) if not held and share]
        if len(chosen) < FEWEST:
            raise ValidationError(_("An experiment compares at least two variants."))
        if len({form.cleaned_data["name"] for form in chosen}) < len(chosen):
            raise ValidationError(_("Give each variant a name of its own."))
        if sum(share > 0 for share in shares) < FEWEST:
            raise ValidationError(_("At least two variants need a share of more than 0."))
        if not with_lists:
            raise ValidationError(_("A holdout of everybody shows no recommendations, and compares nothing."))
        if self.goal == Experiment.Goal.CLICKS and (holdouts[0] or len(with_lists) < FEWEST):
            raise ValidationError(_("A holdout has no lists to click: decide by orders or sales."))
        if any(form.models for form in chosen) and not _asks_models(self.placement):
            words = _("None of this placement's steps asks a model: lists of other models would be the same.")
            raise ValidationError(words)
        if self.kind == Experiment.Kind.INTERLEAVING:
            models = {tuple(form.changes.get("MODELS", ())) for form in chosen}
            if len(chosen) != FEWEST or any(holdouts) or len(models) != FEWEST:
                raise ValidationError(_("Interleaving compares exactly two variants with different models."))

    def filled(self) -> list[VariantForm]:
        return [form for form in self.forms if form.has_changed() and form.cleaned_data.get("name")]


def _asks_models(placement: str) -> bool:
    """Whether its lists depend on its models, as far as it is known."""
    settled = settled_as(placement)
    return settled is None or hears_models(settled.steps, settled.variety)


_Variants = forms.formset_factory(
    VariantForm, formset=BaseVariants, extra=MOST, max_num=MOST, absolute_max=MOST
)


def variants_form(given: Any) -> BaseVariants:
    """Room for MOST variants, of which those that are filled in count; `given`: what was posted."""
    made: BaseVariants = _Variants(given, prefix="variants")  # type: ignore[assignment]
    if given is not None:
        made.kind, made.goal = given.get("kind", ""), given.get("goal", "")
        made.placement = given.get("placement", "")
    return made


def create(form: ExperimentForm, variants: BaseVariants, by: str) -> Experiment:
    """Store the draft. ValidationError where somebody took the name meanwhile."""
    given = form.cleaned_data
    pilot = given["kind"] == Experiment.Kind.PILOT
    try:
        with database.atomic():
            experiment: Experiment = Experiment.objects.create(
                name=given["name"],
                placement=given["placement"],
                kind=given["kind"],
                goal=given["goal"],
                effect=given["effect"] / 100,
                stops_itself=given["stops_itself"] or pilot,
                part=0.0 if pilot else 1.0,
                created_by=by,
            )
            Variant.objects.bulk_create(
                Variant(
                    experiment=experiment,
                    name=each.cleaned_data["name"],
                    place=place,
                    share=each.cleaned_data["share"],
                    changes=each.changes,
                    holdout=each.cleaned_data["holdout"],
                )
                for place, each in enumerate(variants.filled())
            )
    except IntegrityError as error:
        raise ValidationError(_("Another experiment has this name: choose a new one.")) from error
    return experiment


def ramp_form(now: float) -> type[ReasonForm]:
    """A form that asks for the share of sessions that take part; `now`: what it is."""
    parts: list[tuple[Any, Any]] = [SHADOW, *PARTS]
    if now not in {0.0, *(value for value, _label in PARTS)}:
        parts.append((now, part(now)))

    class RampForm(ReasonForm):
        part = forms.TypedChoiceField(
            label=_("Sessions that take part"), choices=parts, coerce=float, initial=now or SHADOW[0]
        )

    return RampForm


def stop_form(experiment: Experiment) -> type[ReasonForm]:
    """A form that asks what everybody gets afterwards, beginning with what everybody gets now."""
    choices: list[tuple[str, Any]] = [("", _("the placement without this experiment"))]
    choices += [(each.name, each.name) for each in experiment.variants.all() if not each.holdout]

    class StopForm(ReasonForm):
        keep = forms.ChoiceField(
            label=_("Afterwards everybody gets"),
            choices=choices,
            required=False,
            initial=experiment.kept,
            help_text=_left_by_others(experiment),
        )

    return StopForm


def _left_by_others(experiment: Experiment) -> str:
    """What other experiments changed of the placement for everybody, which this one leaves as it is."""
    kept = Variant.objects.filter(experiment__placement=experiment.placement, name=F("experiment__kept"))
    others = kept.exclude(experiment=experiment).select_related("experiment")
    words = gettext("“%(name)s” left on this placement: %(changes)s.")
    return " ".join(
        words % {"name": each.experiment.name, "changes": changes(each)}
        for each in others.order_by("experiment__stopped_at")
        if each.changes
    )
