"""The composing step, between a model's ranking and the rules: every intent of the session gets places."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from django_sessrec.recsys.composition import compose, in_rows, live
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.items import Rows
from django_sessrec.recsys.recommender import Ranking, Recommendation
from django_sessrec.serving.placements import ROWS, Placement


class Place(NamedTuple):
    """An item of a ranking: its number there, and the newest clicked item of the intent that it stands for.

    intent: an id; empty for the leading one
    """

    ranking: Ranking
    number: int
    intent: str = ""


class ComposedRanking(NamedTuple):
    """Items of several rankings in one order."""

    places: list[Place]

    @property
    def item_ids(self) -> list[str]:
        """The ids in this order."""
        return [each.ranking.recommender.index.ids[each.ranking.rows[each.number]] for each in self.places]

    def explained(self, numbers: Sequence[int]) -> list[tuple[Recommendation, str]]:
        """The recommendations at these places, 0 is the first, each with its intent."""
        chosen = [self.places[number] for number in numbers]
        found: dict[int, Recommendation] = {}
        for ranking in {id(each.ranking): each.ranking for each in chosen}.values():
            mine = [n for n, each in enumerate(chosen) if each.ranking is ranking]
            found.update(zip(mine, ranking.take([chosen[n].number for n in mine]).explained(), strict=True))
        return [(found[n], each.intent) for n, each in enumerate(chosen)]


def composed(
    ranking: Ranking, intents: Intents, placement: Placement, depth: int, hidden: Collection[str]
) -> tuple[Ranking | ComposedRanking, int]:
    """The ranking of a whole session, with places for its earlier intents, and how many intents are live.

    The ranking itself where there is one intent only.

    depth:  candidates asked of the model for each of them
    hidden: ids that the rules leave out: they get no place, and stand at the end, so that traces tell of them
    """
    alive = live(ranking.session, intents)
    if len(alive) < 2:
        return ranking, len(alive)
    index = ranking.recommender.index
    left_out = {*index.rows(hidden).tolist()}

    def places(of: Ranking) -> Mapping[int, Place]:
        return {row: Place(of, n) for n, row in enumerate(of.rows.tolist()) if row not in left_out}

    def ask(rows: Rows) -> Mapping[int, Place]:
        answer = ranking.recommender.top(rows, depth, exclude=ranking.session[-1:].tolist())
        return places(Ranking(ranking.recommender, rows, *answer))

    put_together = in_rows if placement.intents == ROWS else compose
    found = put_together(places(ranking), alive, intents, ask, placement.limit)
    chosen = [each._replace(intent=index.ids[intent.rows[-1]] if intent else "") for each, intent in found]
    taken = {each.number for each in chosen if each.ranking is ranking}
    rest = [Place(ranking, n) for n in range(len(ranking.rows)) if n not in taken]
    return ComposedRanking([*chosen, *rest]), len(alive)
