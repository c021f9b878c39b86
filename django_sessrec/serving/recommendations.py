"""A placement's list on one page, from the request to what tags, views and the REST API show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from time import perf_counter_ns
from typing import Any, NamedTuple
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from django_sessrec.capture.consent import CONTEXTUAL, SESSION, Level
from django_sessrec.capture.rec_id import sign
from django_sessrec.experiment_models import EMPTY, HOLDOUT
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Impression
from django_sessrec.recsys.recommender import Source
from django_sessrec.safety import isolated
from django_sessrec.serving import cards, links
from django_sessrec.serving.candidate import (
    BY_HAND,
    MODEL,
    PINNED,
    RECENTLY_VIEWED,
    SPONSORED,
    Trace,
)
from django_sessrec.serving.choose import Choice, choose
from django_sessrec.serving.debug_comment import why_no_list
from django_sessrec.serving.placements import ROWS, Placement, placement_for
from django_sessrec.serving.reasons import OF_AN_ITEM, words
from django_sessrec.serving.titles import ItemTitles, list_title, made_all
from django_sessrec.serving.variety import explored
from django_sessrec.serving.visit import Visit, listed, named_categories, visit_of


@dataclass(slots=True, unsafe_hash=True)  # frozen, it takes ten times as long to make
class RecommendedItem:
    """One item of a list.

    - `item`: the shop's object, as Catalogue.resolve() gave it
    - `position`: 1 is the first
    - `score`: the model's, comparable within this list only; None where no model ranked it
    - `step`: what brought it, "model", "co_views", "category", "popular" or "static", or by the shop's choice
      "pinned", "sponsored" or "rule"
    - `reason`: a reason code, such as "neighbours", "viewed" or "popular"
    - `because`: ids of the clicked items that speak for it, strongest first
    - `because_title`: title of the one to name beside it; empty where none may be shown
    - `reason_repeated`: whether the heading says it, or an item above has the same reason and title; the
      default template then says nothing
    - `url`: the item's page; where there is an impression, a visit through it counts as a click
    - `row`: heading of its row, where the placement has a row for each intent; empty in the first, whose
      heading is the list's title
    - `fields`: what Catalogue.describe() says: title, url, image, price, and keys of the shop's own
    """

    item_id: str
    item: Any
    position: int
    score: float | None
    step: str
    reason: str
    because: tuple[str, ...]
    because_title: str
    reason_repeated: bool
    url: str
    fields: Mapping[str, Any]
    row: str = ""
    _choice: Choice = field(default_factory=Choice, repr=False, compare=False)

    @property
    def trace(self) -> tuple[Trace, ...]:
        """What each rule did to it, in order."""
        return self._choice.traces.get(self.item_id, ())

    @property
    def pinned(self) -> bool:
        """Whether the shop put it there by hand."""
        return self.step == PINNED

    @property
    def sponsored(self) -> bool:
        """Whether somebody pays for it: a template that hides this fails a check."""
        return self.step == SPONSORED

    @property
    def reason_text(self) -> str:
        """The reason in words of the page's language; empty where a card gives none, such as "Sponsored"."""
        return "" if self.sponsored or self.reason_repeated else words(self.reason, self.because_title)


class Row(NamedTuple):
    """Items of a list that stand together under a heading.

    reason_text: the reason in words that all of them have, to be said once below the heading, on no card
    """

    title: str
    items: list[RecommendedItem]
    reason_text: str = ""


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A placement's list. Empty where nothing could be recommended, or on an error.

    - `title`: of the list, true for this one: where nothing of the visit or the page has made it, or where
      "bought_together" is its first step and did not, the placement's FALLBACK_TITLE stands in place of its
      TITLE
    - `rec_id`: the signed impression; None at the contextual level, where nothing is stored
    - `personalised`: whether the session's clicks had a say
    - `consent`: "contextual" or "session"
    - `model`: key in SESSREC["MODELS"] of the model that answered first; `run_id` is its training run
    - `step`: the step of the fallback that answered first
    """

    placement: str
    title: str = ""
    items: list[RecommendedItem] = field(default_factory=list)
    impression_id: UUID | None = None
    rec_id: str | None = None
    personalised: bool = False
    consent: Level = CONTEXTUAL
    model: str = ""
    run_id: int | None = None
    step: str = ""
    experiment: str = ""
    variant: str = ""
    template: str = ""

    @property
    def rows(self) -> list[Row]:
        """The list's rows: one, but where the placement shows a row for each intent of the session."""
        found: dict[str, list[RecommendedItem]] = {}
        for item in self.items:
            found.setdefault(item.row, []).append(item)
        return [Row(heading or self.title, items, _of_all(items)) for heading, items in found.items()]


def recommend(
    request: HttpRequest | None,
    placement: str,
    *,
    item: Any = None,
    items: Sequence[Any] | None = None,
    limit: Any = None,
    category: Any = None,
    query: str = "",
    leave_out: Any = (),
) -> Recommendations:
    """The placement's list for this visit; never raises, an error is logged and leaves the list empty.

    The arguments are those of django_sessrec.recommendations.get_recommendations().
    """
    with isolated(f"make the list of the placement {placement!r}"):
        began = perf_counter_ns()
        tracker = getattr(request, "sessrec", None)
        on_page: dict[tuple[object, ...], list[str]] = getattr(tracker, "on_page", {})
        asked = (placement, named_categories(category), str(query or ""))
        elsewhere = [each for by, shown in on_page.items() if by != asked for each in shown]
        left_out = [*listed(leave_out), *elsewhere]
        visit = visit_of(request, item=item, items=items, leave_out=left_out, category=category, query=query)
        settled = placement_for(placement, visit, limit=limit)
        choice = choose(visit, settled, request=request)
        impression = remember(choice, visit, settled, duration_us=(perf_counter_ns() - began) // 1_000)
        made = _shown(choice, visit, settled, impression, request)
        # Not before: a list that can't be shown counts nowhere.
        on_page.setdefault(asked, []).extend(each.item_id for each in choice.chosen)
        if impression is not None and request is not None:
            request.sessrec.show(impression)  # type: ignore[attr-defined]
        return made
    return Recommendations(placement)


arecommend = sync_to_async(recommend)


def remember(
    choice: Choice, visit: Visit, placement: Placement, *, duration_us: int | None = None
) -> Impression | None:
    """The row that says what was shown, not written yet; None without consent, or for an empty list.

    In an experiment an empty list has a row all the same, a holdout's or not: its sessions are counted, and
    they would be selected ones if only those with products were.

    duration_us: microseconds that the list took
    """
    answer = choice.answer
    if visit.session_id is None or not (answer or placement.experiment):
        return None
    by_model = answer is not None and answer.step == MODEL
    impression_id = uuid7()
    return Impression(  # type: ignore[misc]  # by the order of its fields Django takes half as long
        impression_id,
        time_of(impression_id),
        visit.session_id,
        placement.name,
        answer.model if answer and by_model else "",
        answer.run_id if answer and by_model else None,
        answer.step if answer else HOLDOUT if placement.holdout else EMPTY,
        placement.experiment,
        placement.variant,
        [each.item_id for each in choice.chosen],
        [each.reason for each in choice.chosen],
        False,  # bot: told by the request
        _propensities(choice) if placement.explore else None,
        placement.limit,
        len(visit.clicks),
        answer.intents if answer else None,
        duration_us,
    )


def _propensities(choice: Choice) -> list[float | None] | None:
    """Of each item; 1 for those that the shop placed, None from the first on that no longer stands as drawn.

    None for a list of two variants: which of them an item is of was drawn, too.
    """
    drawn = next((each.after for each in choice.effects if each.rule == explored.__name__), None)
    if drawn is None:
        return None
    pairs = zip(choice.chosen, drawn, strict=False)
    as_drawn = sum(1 for _pair in takewhile(lambda pair: pair[0].item_id == pair[1].item_id, pairs))
    given = [1.0 if each.step in BY_HAND else each.propensity for each in choice.chosen[:as_drawn]]
    return [*given, *(None for _each in choice.chosen[as_drawn:])]


def rendered(recommendations: Recommendations, request: HttpRequest | None) -> SafeString:
    """The list's HTML by the placement's template; empty on any error, but for a comment under DEBUG.

    A list that can't be rendered is not counted as shown.

    Without context processors: the page has run the shop's already, and they may cost queries.
    """
    task = f"render {recommendations.template!r} for the placement {recommendations.placement!r}"
    with isolated(task, savepoints=False):
        if recommendations.items:
            in_python = recommendations.template == cards.LIST and cards.are_shipped()
            if in_python and cards.ask_nothing(recommendations.items):
                return cards.html(recommendations)
            with isolated(task):
                if in_python:
                    return cards.html(recommendations)
                context = {"recommendations": recommendations, "request": request}
                return render_to_string(recommendations.template, context)
    unrendered = recommendations.template if recommendations.items else ""
    if unrendered and (tracker := getattr(request, "sessrec", None)) is not None:
        tracker.take_back(recommendations.impression_id)
    return why_no_list(recommendations.placement, template=unrendered)


def _shown(
    choice: Choice,
    visit: Visit,
    placement: Placement,
    impression: Impression | None,
    request: HttpRequest | None,
) -> Recommendations:
    answer = choice.answer
    by_model = answer is not None and answer.step == MODEL
    rec_id = sign(impression.impression_id, impression.session_id) if impression else None
    title = list_title(choice, placement)
    return Recommendations(
        placement.name,
        title=title,
        items=_items(choice, placement, title, rec_id, request),
        impression_id=impression.impression_id if impression else None,
        rec_id=rec_id,
        personalised=visit.consent == SESSION and any(each.because for each in choice.chosen),
        consent=visit.consent,
        model=answer.model if answer and by_model else "",
        run_id=answer.run_id if answer and by_model else None,
        step=answer.step if answer else "",
        experiment=placement.experiment,
        variant=placement.variant,
        template=placement.template,
    )


def _of_all(items: Sequence[RecommendedItem]) -> str:
    """The reason that all of several items have, if it names another one; empty where they differ."""
    reasons = {(each.reason, each.because_title) for each in items}
    if len(items) < 2 or len(reasons) > 1 or any(each.sponsored for each in items):
        return ""
    [(reason, title)] = reasons
    return words(reason, title) if reason in OF_AN_ITEM else ""


def _items(
    choice: Choice, placement: Placement, title: str, rec_id: str | None, request: HttpRequest | None
) -> list[RecommendedItem]:
    titles = ItemTitles(request)
    said: set[tuple[str, str]] = set()
    rows = {"": ""}  # heading by intent
    all_viewed = made_all(RECENTLY_VIEWED, choice)
    items = []
    for position, each in enumerate(choice.chosen, 1):
        fields = each.fields or {}
        because_title = titles.unsaid(each.reason, each.because_items, said)
        repeated = (each.step == RECENTLY_VIEWED and all_viewed) or (  # which the heading says of all of them
            each.reason != Source.VIEWED
            and (
                (each.reason, because_title) in said
                or (not because_title and words(each.reason, "") == title)
            )
        )
        said.add((each.reason, because_title))
        if placement.intents == ROWS and each.intent not in rows:
            rows[each.intent] = titles.row(each.item, because_title)
        items.append(
            RecommendedItem(
                item_id=each.item_id,
                item=each.item,
                position=position,
                score=each.score,
                step=each.step,
                reason=each.reason,
                because=each.because,
                because_title=because_title,
                reason_repeated=repeated,
                url=links.tagged(str(fields["url"]), rec_id, position) if rec_id else str(fields["url"]),
                fields=fields,
                row=rows.get(each.intent, ""),
                _choice=choice,
            )
        )
    return items
