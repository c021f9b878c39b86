"""The lists that a visit gets now, by model and by placement, and the past sessions behind an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.admin.formatting import fixed, percent, whole
from django_sessrec.admin.products import ShownProduct, shown_products
from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import placement_name, reason_name, step_name
from django_sessrec.catalogue import get_catalogue
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import TrainingRun
from django_sessrec.recsys.neighbour_sessions import clicked_after, sessions_behind
from django_sessrec.recsys.neighbours import NeighboursRecommender
from django_sessrec.recsys.postings import Postings
from django_sessrec.safety import never_raises
from django_sessrec.serving.active_models import ActiveModel, active
from django_sessrec.serving.candidate import Candidate
from django_sessrec.serving.choose import Choice, choose
from django_sessrec.serving.families import family_of, heard
from django_sessrec.serving.inspection import POPULAR, absence, lists_side_by_side, standings
from django_sessrec.serving.placements import Placement, placement_for
from django_sessrec.serving.rule_sets import live_set
from django_sessrec.serving.visit import Visit
from django_sessrec.training.lineage import stored_session

SIDE_BY_SIDE = 8  # items of each model's list
TEACHERS = 10  # past sessions behind an item
FOUND = 5  # products called so, of which the first is asked about
NOTHING: Sequence[str] = ()
EMPTY = Choice()


def lists_now(visit: Visit, name: str, other: str, *, may_see_rules: bool) -> dict[str, Any]:
    """The placement's list with what every rule did, each model's beside it, and why `other` is not in it.

    name: of the placement, or anything else for the first; other: a product's name or id
    may_see_rules: whether the reader may know what a merchant's rule says, and not only that it did something
    """
    names = list(sessrec_settings.PLACEMENTS)
    if not names:
        return {}
    name = name if name in names else names[0]
    placement = placement_for(name, visit)
    choice = _chosen(visit, placement)
    beside = lists_side_by_side(visit.clicks, SIDE_BY_SIDE)
    ids = [each.item_id for each in choice.items]
    ids += [item for each in choice.items for item in each.because]
    ids += [each.item_id for model in beside for each in model.items]
    products = shown_products(ids)
    live = live_set(name) if may_see_rules else None
    words = Words(get_catalogue(), list(live.rules.all()) if live else [])
    return {
        "placements": [
            {"name": each, "label": placement_name(each), "chosen": each == name} for each in names
        ],
        "placement": name,
        "chosen": [_explained(each, products, words) for each in choice.items],
        "side_by_side": [
            {
                "label": _("most popular") if model.model == POPULAR else f"{model.model} #{model.run_id}",
                "popular": model.model == POPULAR,
                "items": [
                    (products[each.item_id], "" if model.model == POPULAR else fixed(each.score, 2))
                    for each in model.items
                ],
            }
            for model in beside
        ],
        "other": other,
        **(_why_not(visit, choice, other, words) if other else {}),
    }


@never_raises("make a list to inspect", default=EMPTY)
def _chosen(visit: Visit, placement: Placement) -> Choice:
    return choose(visit, placement)


def _explained(candidate: Candidate, products: Mapping[str, ShownProduct], words: Words) -> dict[str, Any]:
    source = step_name(candidate.step) if not candidate.model else f"{candidate.model} #{candidate.run_id}"
    because = [products[item_id].title for item_id in candidate.because]
    return {
        "product": products[candidate.item_id],
        "source": source,
        "reason": reason_name(candidate.reason),
        "because": because,
        "score": "" if candidate.score is None else fixed(candidate.score, 2),
        "rules": [words.did(step) for step in candidate.trace],
    }


def _why_not(visit: Visit, choice: Choice, other: str, words: Words) -> dict[str, Any]:
    """What becomes of another product: by each model, by the rules, and in the shop."""
    found = products_called(other, FOUND)
    item_id = found[0] if found else other
    product = shown_products([item_id])[item_id]
    fate = absence(choice, item_id, offered=product.offered)
    sentences = []
    if fate.position is not None:
        sentences.append(_("It is in this list, at position %(position)d.") % {"position": fate.position})
    elif not product.offered:
        sentences.append(_("The catalogue does not offer it now: it is sold out, hidden, or unknown."))
    if fate.rule is not None:
        sentences.append(_("A rule left it out: %(rule)s.") % {"rule": words.rule(fate.rule)})
    elif fate.position is None:
        sentences.append(_("No step proposed it: others rank higher."))
    for standing in standings(visit.clicks, item_id):
        told = {
            "model": f"{standing.model} #{standing.run_id}",
            "rank": whole(standing.rank or 0),
            "of": whole(standing.of),
        }
        if not standing.knows:
            sentences.append(_("%(model)s has never seen it: it is newer than the training run.") % told)
        elif standing.rank is None:
            sentences.append(_("%(model)s has no evidence for it after these clicks.") % told)
        else:
            sentences.append(_("%(model)s ranks it %(rank)s of %(of)s.") % told)
    return {"other_product": product, "why_not": sentences}


@never_raises("search the catalogue", default=NOTHING)
def products_called(text: str, limit: int) -> Sequence[str]:
    """The product of this id, or those of this name."""
    catalogue = get_catalogue()
    return [text] if catalogue.resolve([text]) else catalogue.search(text, limit)


def teachers(visit: Visit, item_id: str) -> dict[str, Any]:
    """The past sessions that spoke for an item in each neighbour model; without an item, for the first."""
    found = []
    for name in sessrec_settings.MODELS:
        serving = active(name)
        if serving is not None and isinstance(serving.recommender, NeighboursRecommender):
            found.append(_of_model(serving, visit.clicks, item_id))
    return {"taught": [each for each in found if each["sessions"]]}


def often_after(item_id: str) -> dict[str, Any]:
    """What past sessions clicked right after a product, by the first model that serves and remembers them."""
    for name in sessrec_settings.MODELS:
        serving = active(name)
        postings = getattr(serving and serving.recommender, "postings", None)
        if serving is None or not isinstance(postings, Postings):
            continue
        index = serving.recommender.index
        [named] = heard(index, [item_id], family_of([item_id]))
        if named not in index:
            continue
        [row] = index.rows([named])
        found, went_on = clicked_after(postings, int(row), SIDE_BY_SIDE)
        ids = index.item_ids([each for each, _sessions in found])
        products = shown_products(ids)
        return {
            "after": [
                (products[each], ngettext("%d session", "%d sessions", sessions) % sessions)
                for each, (_row, sessions) in zip(ids, found, strict=True)
            ],
            "went_on": went_on,
            "remembered_by": f"{serving.model} #{serving.run_id}",
        }
    return {}


def _of_model(serving: ActiveModel, clicks: Sequence[str], asked: str) -> dict[str, Any]:
    model = serving.recommender
    assert isinstance(model, NeighboursRecommender)  # noqa: S101  # for mypy
    *clicks, item_id = heard(model.index, [*clicks, asked], family_of([*clicks, asked]))
    if item_id not in model.index:
        best = model.recommend(clicks, 1, exclude=clicks)
        asked = item_id = best[0].item_id if best else ""
    if not item_id:
        return {"sessions": []}
    [row] = model.index.rows([item_id])
    behind = sessions_behind(model, model.index.rows(clicks), int(row))
    total = sum(each.score for each in behind)
    loudest = [(each, model.index.item_ids(each.rows)) for each in behind[:TEACHERS]]
    products = shown_products([asked, *(item for _each, clicked in loudest for item in clicked)])
    run = TrainingRun.objects.get(pk=serving.run_id)
    return {
        "model": f"{serving.model} #{serving.run_id}",
        "product": products[asked],
        "of": len(behind),
        "sessions": [
            {
                "share": percent(each.score / total),
                "days": fixed(each.age_days, 1),
                "clicked": [products[item] for item in clicked],
                "id": stored_session(run, clicked, each.age_days) or "",
            }
            for each, clicked in loudest
        ],
    }
