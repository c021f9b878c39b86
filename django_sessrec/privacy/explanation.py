"""The main parameters of a placement's list, for visitors: active models and settings (DSA 27)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from django_sessrec.capture.consent import SESSION, Level
from django_sessrec.capture.cookie import LONGEST_SESSION, presented
from django_sessrec.capture.request_filters import is_known_staff
from django_sessrec.conf import sessrec_settings
from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving import visit
from django_sessrec.serving.active_models import active
from django_sessrec.serving.candidate import MODEL, RECENTLY_VIEWED, USUAL_STEPS
from django_sessrec.serving.placements import Placement, placement_for, variants_of
from django_sessrec.serving.titles import usual_title


@dataclass(frozen=True, slots=True)
class ListRules:
    """The parameters of the list that a visitor gets."""

    steps: tuple[str, ...]  # of the fallback, in the order in which they are asked
    methods: list[str]  # of the models that serve, in the order in which they are asked
    limit: int
    pinned: int
    sponsored: int
    excluded: int
    hide_viewed: bool
    hide_bought_categories: bool
    new_products: int  # places that a model's list has for products too new for it
    varied: bool
    rotate_after: int | None
    explored: int  # places of a hundred that are drawn by chance
    max_per_category: int | None
    own: int  # rules of the shop's own, in its code and in the admin
    for_groups: int  # rules that hold for one group of customers each


@dataclass(frozen=True, slots=True)
class Explanation:
    """A placement's list in plain words, as this visitor gets it."""

    placement: str
    title: str
    rules: ListRules
    versions: int  # that a running experiment compares; 0 without one
    takes_part: bool  # whether `rules` are those of one of them


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """The data of a visit that is used and kept."""

    consent: Level
    staff: bool  # signed in as staff: nothing of the visit is kept from here on
    identified: bool  # a cookie identifies it, or will with the next product
    idle_minutes: float
    longest_hours: int
    retention_days: int | None  # None: without an end
    order_lines_days: int | None  # of lines of orders, which outlive an erasure; None: without an end
    count_all_orders: bool  # lines of orders are kept without consent, too
    training_hours: int  # until every model is trained again


def explain(placement: str, session_id: UUID | None = None) -> Explanation:
    """The placement's parameters as they are now for this session: those of its variant, if it takes part.

    Raises ImproperlyConfigured for a placement that is not in the settings.
    """
    settled = placement_for(placement, visit.Visit(session_id=session_id))
    return Explanation(
        placement,
        title=str(settled.title or usual_title(_steps(settled)[0])),
        rules=_rules(settled),
        versions=len(variants_of(placement)),
        takes_part=bool(settled.variant),
    )


def explain_visit(consent: Level, request: HttpRequest | None = None) -> VisitFacts:
    """What is used and kept of a visit at this consent level, on the page of this request."""
    staff = request is not None and consent == SESSION and is_known_staff(request)
    return VisitFacts(
        consent,
        staff=staff,
        identified=consent == SESSION and not (staff and request and presented(request) is None),
        idle_minutes=sessrec_settings.SESSION_IDLE_MINUTES,
        longest_hours=int(LONGEST_SESSION.total_seconds()) // 3600,
        retention_days=sessrec_settings.RETENTION_DAYS,
        order_lines_days=sessrec_settings.ORDER_LINES_DAYS,
        count_all_orders=sessrec_settings.COUNT_ALL_ORDERS,
        training_hours=ceil(max(map(_training_hours, sessrec_settings.MODELS), default=0)),
    )


def _training_hours(model: str) -> float:
    hours: float = sessrec_settings.model(model)["EVERY_HOURS"]
    return hours


def _steps(placement: Placement) -> tuple[str, ...]:
    return placement.steps or USUAL_STEPS


def _rules(placement: Placement) -> ListRules:
    now = timezone.now()
    by_hand = [rule for rule in placement.merchandising.rules if rule.in_force(now)]
    paid = sum(rule.kind == PlacementRule.Kind.SPONSORED for rule in by_hand)
    return ListRules(
        steps=_steps(placement),
        methods=list(dict.fromkeys(_methods(placement.models))),
        limit=placement.limit,
        pinned=len(placement.pinned),
        sponsored=len(placement.sponsored) + paid,
        excluded=len(placement.excluded),
        hide_viewed=placement.hide_viewed and RECENTLY_VIEWED not in _steps(placement),
        hide_bought_categories=(
            placement.hide_bought_categories and RECENTLY_VIEWED not in _steps(placement)
        ),
        new_products=placement.new_products if MODEL in _steps(placement) else 0,
        varied=placement.variety > 0,
        rotate_after=placement.rotate_after,
        explored=ceil(100 * placement.explore),
        max_per_category=placement.max_per_category,
        own=len(placement.rules) + len(by_hand) - paid,
        for_groups=sum(bool(rule.group) for rule in by_hand),
    )


def _methods(models: Iterable[str]) -> Iterator[str]:
    """What each model that serves goes by, in the order in which they are asked."""
    for model in models:
        sessrec_settings.model(model)  # raises for one that is misspelt
        if (serving := active(model)) is not None:
            words = serving.recommender.describe()
            own = _("a method of the shop's own, called “%(model)s”")
            yield gettext(words) if words else own % {"model": model}
