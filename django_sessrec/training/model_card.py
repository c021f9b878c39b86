"""Model cards: what a run was trained on, how accurate it is, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.localised import number, significant
from django_sessrec.models import TrainingRun
from django_sessrec.training.gate import FEWEST_CASES


def card(run: TrainingRun) -> dict[str, Any]:
    """What people want to know of a model, JSON-able; kept beside it in the artifact's manifest."""
    return {
        "model": run.model,
        "run": run.pk,
        "estimator": run.estimator,
        "parameters": run.parameters,
        "window": [at and at.isoformat() for at in (run.window_start, run.window_end)],
        "counts": run.counts,
        "figures": run.figures,
        "limits": limits(run),
    }


def limits(run: TrainingRun) -> list[str]:
    """What the model cannot do and how far its figures may be trusted, in the language that is active."""
    return [*_of_data(run), *_of_figures(run.figures.get("candidate", {}), on_baskets=run.on_baskets)]


def _of_data(run: TrainingRun) -> Iterator[str]:
    yield _(
        "It does not know products that came after its training run: lists show them by what the catalogue "
        "says of them, if it says enough."
    )
    if run.window_start and run.window_end:
        days = (run.window_end - run.window_start).days
        yield ngettext(
            "It was trained on %(days)d day: it knows no other season.",
            "It was trained on %(days)d days: it knows no other season.",
            days,
        ) % {"days": days}
    if weights := run.counts.get("event_weights"):
        taught = _(
            "Clicks did not teach it alike. What their session did with the product gives each a weight: "
            "viewed %(view)s, viewed for %(dwell_seconds)s seconds or more %(dwell)s, basket %(basket)s, "
            "bought %(purchase)s."
        )
        yield taught % {name: significant(weight) for name, weight in weights.items()}
    if run.on_baskets:
        yield _("It uses only products of the basket or of the page: no personal data, prices or stock.")
    else:
        yield _("It uses only the clicks of the current session: no personal data, prices or stock.")


def _of_figures(figures: dict[str, Any], *, on_baskets: bool) -> Iterator[str]:
    if not figures.get("cases"):
        return
    share = figures["hr@20"] / 100
    margin = 100 * 1.96 * sqrt(share * (1 - share) / figures["cases"])
    based = (
        _(
            "Its figures say how often it predicted a product of the last days' baskets from those put there "
            "before it, not how its lists influence visitors. They are based on %(cases)s products: a "
            "difference of %(margin)s points of HR@20 may be chance."
        )
        if on_baskets
        else _(
            "Its figures say how often it predicted a click of the last days, not how its lists influence "
            "visitors. They are based on %(cases)s clicks: a difference of %(margin)s points of HR@20 may "
            "be chance."
        )
    )
    yield based % {"cases": number(figures["cases"]), "margin": number(margin, 1)}
    if figures.get("cases_new") and not on_baskets:  # a basket holds each product once
        yield _(
            "%(share)s %% of the predicted clicks went to a product that was new to the session; of these "
            "it found %(hr)s %% among 20 products without those viewed before."
        ) % {
            "share": number(100 * figures["cases_new"] / figures["cases"]),
            "hr": number(figures["hr@20_new"], 2),
        }
    if worst := _worst(figures.get("by_length", {})):
        after = (
            ngettext(
                "It is least accurate after %(group)s product of a basket: HR@20 %(hr)s.",
                "It is least accurate after %(group)s products of a basket: HR@20 %(hr)s.",
                _number(worst),
            )
            if on_baskets
            else ngettext(
                "It is least accurate after %(group)s click: HR@20 %(hr)s.",
                "It is least accurate after %(group)s clicks: HR@20 %(hr)s.",
                _number(worst),
            )
        )
        yield after % worst
    if worst := _worst(figures.get("by_intents", {})):
        intents = ngettext(
            "It is least accurate for sessions with %(group)s intent: HR@20 %(hr)s.",
            "It is least accurate for sessions with %(group)s intents: HR@20 %(hr)s.",
            _number(worst),
        )
        yield intents % worst
    if "coverage@20" in figures:
        never = _("%(share)s %% of its products appeared in no list of the test.")
        yield never % {"share": number(100 - figures["coverage@20"], 1)}
    if "popularity_bias@20" in figures:
        lean = (
            _("Recommended products are %(lean)s times as popular as those of the baskets.")
            if on_baskets
            else _("Recommended products are %(lean)s times as popular as clicked products.")
        )
        yield lean % {"lean": number(figures["popularity_bias@20"], 2)}


def _number(worst: dict[str, str]) -> int:
    """The group's number, for the plural: groups are "1", "2", "3-4", "10+"."""
    return 1 if worst["group"] == "1" else 2


def _worst(groups: dict[str, dict[str, float]]) -> dict[str, str] | None:
    """The group with the lowest hit rate, among those with clicks enough to tell."""
    told = {group: figures["hr@20"] for group, figures in groups.items() if figures["cases"] >= FEWEST_CASES}
    if len(told) < 2:
        return None
    group = min(told, key=told.__getitem__)
    return {"group": group, "hr": number(told[group], 2)}
