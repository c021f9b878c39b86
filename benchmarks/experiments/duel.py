"""Two rankers on the same truth, compared by an A/B test and by interleaving: sessions until 80 % power."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiments.shop import ratio_of
from django_sessrec.measuring.sequences import Ratio, reach
from django_sessrec.serving.interleaving import team_draft, teams

CATALOGUE, SHOWN = 40, 8
# Noise in the scores of either ranker. The second is better: it gets 5 to 10 % more lists clicked.
GAPS = {"small": (1.5, 1.2), "middle": (1.0, 0.6)}


class Rankers:
    """Two rankers, each of whose scores is the visitor's true interest plus noise, shared and of its own.

    A session has one to six lists. Every second visitor never clicks a recommendation. The others look down a
    list, are lost at each place with a chance of 15 %, and leave the page by the first item that they want: a
    quarter of all lists is clicked, once each.
    """

    def __init__(self, noise: tuple[float, float], seed: int) -> None:
        self.noise = noise
        self.draw = np.random.default_rng(seed)

    def session(self) -> list[tuple[list[int], list[int], NDArray[np.bool_]]]:
        """For each list of a session: what either ranker shows, and which items the visitor wants."""
        clicks_at_all = self.draw.random() < 0.5
        lists = []
        for _list in range(self.draw.integers(1, 7)):
            interest = self.draw.standard_normal(CATALOGUE)
            shared = interest + self.draw.standard_normal(CATALOGUE)  # both hear the same clicks
            scores = [shared + noise * self.draw.standard_normal(CATALOGUE) for noise in self.noise]
            first, second = (np.argsort(-score)[:SHOWN].tolist() for score in scores)
            wanted = self.draw.random(CATALOGUE) < 0.35 / (1 + np.exp(2 - 2 * interest))
            lists.append((first, second, wanted & clicks_at_all))
        return lists

    def clicked(self, shown: list[int], wanted: NDArray[np.bool_]) -> int | None:
        """The place that is clicked."""
        seen = shown[: int(self.draw.geometric(0.15))]
        return next((place for place, item in enumerate(seen) if wanted[item]), None)

    def sample(self, sessions: int) -> tuple[list[Ratio], Ratio]:
        """Clicked lists per list of either ranker alone; and per session, clicks of the second team less the
        first's, where the two are interleaved."""
        clicks, lists, preference = np.zeros((2, sessions)), np.zeros(sessions), np.zeros(sessions)
        for number in range(sessions):
            order = teams("duel", UUID(int=number), SHOWN)
            for first, second, wanted in self.session():
                lists[number] += 1
                for ranker, shown in enumerate((first, second)):
                    clicks[ranker, number] += self.clicked(shown, wanted) is not None
                place = self.clicked(team_draft((first, second), order), wanted)
                if place is not None:
                    preference[number] += 1 if order[place] else -1
        return [ratio_of(each, lists) for each in clicks], ratio_of(preference, np.ones(sessions))


def speedup(noise: tuple[float, float], sessions: int, seed: int) -> dict[str, float]:
    """Sessions that either way needs, from effects and variances measured on the same simulated visitors."""
    (first, second), preference = Rankers(noise, seed).sample(sessions)
    effect = second.value - first.value
    # Half of the sessions go into each arm; both sequences are tuned for the number that they need.
    by_ab = 2 * (first.unit_variance + second.unit_variance) * (reach() / effect) ** 2
    by_interleaving = preference.unit_variance * (reach() / preference.value) ** 2
    return {
        "clicked_lists": first.value,
        "lift": effect / first.value,
        "ab_sessions": by_ab,
        "interleaving_sessions": by_interleaving,
        "speedup": by_ab / by_interleaving,
    }
