"""Candidates that a model ranks, explained as far as they are shown, and products that it has not learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from django_sessrec.catalogue import TextCatalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.recsys.composition import spread
from django_sessrec.recsys.items import ItemIndex
from django_sessrec.recsys.recommender import Ranking, Recommendation, Source
from django_sessrec.serving.active_models import ActiveModel, active
from django_sessrec.serving.candidate import CONTENT, MODEL, RECENTLY_VIEWED, Candidate
from django_sessrec.serving.cold_start import HEARD, new_products
from django_sessrec.serving.composing import ComposedRanking, composed
from django_sessrec.serving.families import families_of, heard
from django_sessrec.serving.placements import OFF, Placement
from django_sessrec.serving.visit import Visit

DEPTH: Final = 4  # times the list's length that each model is asked for
AT_FIRST: Final = 1.5  # times the list's length that is explained and looked up where no rule may drop more
SPARE: Final = 2  # the same for rules, and in all: replaces sold-out items without a second query
UNDER_RULES: Final = 3  # the same for a merchant's rules
OF_OTHERS: Final = frozenset({Source.NEIGHBOURS, Source.CO_VIEWED, Source.BOUGHT_TOGETHER})
MAX_BECAUSE: Final = 3  # reasons that a visitor may still want to read


@dataclass(frozen=True, slots=True)
class Asked:
    """What a step of the fallback is asked with.

    session: the visit's clicks without sensitive items; depth: candidates wanted of each model
    hidden: what the rules by id leave out of this list, and the families of such items
    left_out: those of them that no other item can stand for: nobody will see a reason for them
    family: of the session's items that are variants
    """

    visit: Visit
    placement: Placement
    catalogue: TextCatalogue
    session: Sequence[str]
    depth: int
    hidden: Set[str]
    left_out: Set[str]
    family: Mapping[str, str]

    @classmethod
    def of(
        cls, visit: Visit, placement: Placement, catalogue: TextCatalogue, session: Sequence[str]
    ) -> Asked:
        viewed = visit.items if placement.hide_viewed else ()
        ids = {*viewed, *visit.basket, *visit.purchases, *visit.left_out, *placement.excluded}
        depth = placement.limit * DEPTH
        families = families_of(catalogue)
        if families is not None:
            family = families.of({*session, *visit.basket, *visit.purchases})
            hidden = ids | {family[item_id] for item_id in ids if item_id in family}
            return cls(visit, placement, catalogue, session, depth, hidden, frozenset(), family)
        # Before the step `recently_viewed` models may propose viewed items, too; after it as the first step
        # they are proposed already.
        left_out = frozenset() if RECENTLY_VIEWED in placement.steps[1:] else ids
        return cls(visit, placement, catalogue, session, depth, ids, left_out, {})

    def heard_by(self, index: ItemIndex, session: Sequence[str]) -> Sequence[str]:
        """What a model hears of the session."""
        return heard(index, session, self.family)

    def stand_ins(self, model: ActiveModel, heard: Sequence[str]) -> dict[str, str]:
        """By id of each of the last items that the model does not know, a known one that is like it."""
        unknown = [item_id for item_id in heard[-HEARD:] if item_id not in model.recommender.index]
        new = new_products(model, self.catalogue) if unknown else None
        return {} if new is None else new.known_like(unknown)


Question = Callable[[], list[Candidate]]
"""Asked only when the list still has room; one that raises counts as one that knows nothing."""


def ranked(models: Iterable[str], session: Sequence[str], asked: Asked, step: str) -> list[Question]:
    """The questions to these models, each asked thrice: at first, for what is spare, and for the rest."""
    rankings = [ModelCandidates(model, session, asked, step) for model in models]
    return [question for each in rankings for question in (each.first, each.spare, each.rest)]


def hears(model: str, last: Sequence[str], asked: Asked) -> bool:
    """Whether the model knows the session's last item, or one that is like it."""
    serving = active(model)
    if serving is None:
        return False
    heard = asked.heard_by(serving.recommender.index, last)
    return any(each in serving.recommender.index for each in heard) or bool(asked.stand_ins(serving, heard))


class ModelCandidates:
    """What a model ranks for the session; nothing where it never saw one of its items.

    A reason costs more than a rank: what the rules by id leave out has none, and what stands further down
    only if it is asked for.
    """

    def __init__(self, model: str, session: Sequence[str], asked: Asked, step: str) -> None:
        self._model, self._session, self._asked, self._step = model, session, asked, step
        self._run_id: int | None = None
        self._ranking: Ranking | ComposedRanking | None = None
        self._ids: list[str] = []  # of the ranking
        self._next = 0  # place in it
        self._intents: int | None = None
        self._clicked: dict[str, str] = {}  # what the model heard -> the variant that was clicked
        self._stood_in: Set[str] = frozenset()  # what it heard in place of products that it does not know

    def first(self) -> list[Candidate]:
        serving, asked = active(self._model), self._asked
        if serving is None:
            return []
        index = serving.recommender.index
        named = asked.heard_by(index, self._session)
        stand_ins = asked.stand_ins(serving, named)
        heard = [stand_ins.get(item_id, item_id) for item_id in named] if stand_ins else named
        if not any(item_id in index for item_id in heard):
            return []
        self._run_id = serving.run_id
        self._stood_in = {*stand_ins.values()}
        if heard is not self._session:
            self._clicked = dict(zip(heard, self._session, strict=True))
        self._ranking = ranking = serving.recommender.rank(
            heard,
            asked.depth,
            exclude=[*heard[-1:], *stand_ins.values()],  # nobody has viewed these
        )
        if self._step == MODEL and serving.intents is not None and asked.placement.intents != OFF:
            self._ranking, self._intents = composed(
                ranking, serving.intents, asked.placement, asked.depth, asked.hidden
            )
        self._ids = self._ranking.item_ids
        found = self._explained(_times(_at_first(asked.placement), asked.placement))
        if self._step == MODEL:
            if named[-1] in stand_ins:
                like_it = Candidate(stand_ins[named[-1]], CONTENT, CONTENT, tuple(self._session[-1:]))
                found = [*found[:1], like_it, *found[1:]]
            if asked.placement.new_products:
                found = _with_new_products(found, like_the_session(serving, asked), asked.placement)
        return found

    def spare(self) -> list[Candidate]:
        placement = self._asked.placement
        looked_up = _times(_at_first(placement), placement)
        return self._explained(_times(_spare(placement), placement) - looked_up)

    def rest(self) -> list[Candidate]:
        return self._explained(None)

    def _explained(self, number: int | None) -> list[Candidate]:
        """The next of the ranking: so many that may be shown, and what stands between them."""
        start, ids, left_out = self._next, self._ids, self._asked.left_out
        places = [place for place in range(start, len(ids)) if ids[place] not in left_out]
        shown = places[:number]
        self._next = len(ids) if len(shown) == len(places) else places[len(shown)]
        least = sessrec_settings.MIN_REASON_SESSIONS
        found = {
            place: Candidate(
                each.item_id,
                self._step,
                self._reason(each),
                self._as_clicked(each.because[:MAX_BECAUSE]),
                each.score,
                self._model,
                self._run_id,
                intent=self._clicked.get(intent, intent),
                intents=self._intents,
            )
            for place, (each, intent) in zip(shown, self._recommendations(shown, least), strict=True)
        }
        if len(found) == self._next - start:
            return list(found.values())
        return [found.get(place) or self._unexplained(place) for place in range(start, self._next)]

    def _unexplained(self, place: int) -> Candidate:
        """One that the rules by id leave out: traces tell of it."""
        item_id = self._ids[place]
        reason = Source.VIEWED if item_id in self._session else Source.SESSION
        return Candidate(item_id, self._step, reason, model=self._model, run_id=self._run_id)

    def _reason(self, recommendation: Recommendation) -> str:
        """Past sessions say nothing of a product that the model does not know."""
        if self._stood_in and recommendation.source in OF_OTHERS:
            return (
                recommendation.source if self._stood_in.isdisjoint(recommendation.because) else Source.SESSION
            )
        return recommendation.source

    def _as_clicked(self, heard: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([self._clicked.get(each, each) for each in heard]) if self._clicked else heard

    def _recommendations(self, places: list[int], least: int) -> list[tuple[Recommendation, str]]:
        """Those at these places of the ranking, each with its intent."""
        if not places or self._ranking is None:
            return []
        if isinstance(self._ranking, Ranking):
            return [(each.supported(least), "") for each in self._ranking.take(places).explained()]
        return [(each.supported(least), intent) for each, intent in self._ranking.explained(places)]


def _at_first(placement: Placement) -> float:
    """Under a merchant's rules all are looked up at once: one explanation of them costs less than two."""
    return UNDER_RULES if placement.merchandising.rules else AT_FIRST


def _spare(placement: Placement) -> int:
    return UNDER_RULES if placement.merchandising.rules else SPARE


def _times(factor: float, placement: Placement) -> int:
    return int(factor * placement.limit)


def like_the_session(model: ActiveModel, asked: Asked) -> list[Candidate]:
    """Products that the model has not learnt, and that are like the session by content, best first."""
    new = new_products(model, asked.catalogue)
    if new is None:
        return []
    named = asked.heard_by(model.recommender.index, asked.session)
    clicked = dict(zip(named, asked.session, strict=True))
    return [
        Candidate(each.item_id, CONTENT, CONTENT, (clicked[each.because],), each.score)
        for each in new.like(named, asked.hidden, asked.depth)
    ]


def _with_new_products(found: list[Candidate], new: list[Candidate], placement: Placement) -> list[Candidate]:
    """The model's list with NEW_PRODUCTS places of each stretch of the list's length for new products."""
    if not new:
        return found
    mixed = list(found)
    there = {each.item_id for each in found}
    waiting = (each for each in new if each.item_id not in there)
    for start in range(0, len(found), placement.limit):
        for place in spread(placement.new_products, placement.limit):
            if (each := next(waiting, None)) is not None:
                mixed.insert(start + place, each)
    return mixed
