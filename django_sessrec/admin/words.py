"""Words for the keys that lists, rules and placements are stored with; an unknown key is shown as it is."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from django_sessrec.experiment_models import EMPTY, HOLDOUT
from django_sessrec.serving.candidate import BOUGHT_TOGETHER, DROPPED, MOVED, Trace
from django_sessrec.serving.choose import REFILLED
from django_sessrec.serving.merchant_rules import MERCHANT
from django_sessrec.serving.placements import Placement


@dataclass(frozen=True, slots=True)
class Named:
    """A name, and the key that it stands for, which pages show as a hint."""

    name: str
    key: str

    def __str__(self) -> str:
        return self.name


def placement_name(key: str) -> str:
    """ "product_page" -> "Product page"."""
    return key.replace("_", " ").replace("-", " ").strip().capitalize()


def person_name(who: str) -> str:
    """Who did something: a staff user's name, or what stands for nobody."""
    return {"schedule": _("the schedule"), "command": _("a command")}.get(who, who)


def subject_name(subject: str) -> str:
    """What an examination looked at."""
    known = {
        "alarm": _("alarm"),
        "broker": _("broker"),
        "catalogue": _("catalogue"),
        "clock": _("clock"),
        "consent": _("consent"),
        "database": _("database"),
        "disk": _("disk"),
        "events": _("events"),
        "figures": _("figures"),
        "host": _("host"),
        "ledger": _("ledger"),
        "model": _("model"),
        "partitions": _("partitions"),
        "process": _("process"),
        "proxy": _("proxy"),
        "retention": _("retention"),
        "rights": _("rights"),
        "settings": _("settings"),
        "stream": _("stream"),
    }
    return known.get(subject, subject)


def variant_words(placement: Placement) -> str:
    """The variant that a list is made as; empty for a session that takes part in no experiment."""
    names = {"variant": placement.variant, "experiment": placement.experiment}
    if not placement.experiment:
        return ""
    if placement.holdout:
        return _("Holdout “%(variant)s” of “%(experiment)s”: no recommendations, on purpose.") % names
    if placement.teams:
        return _("“%(experiment)s” mixes products of both models into this list.") % names
    return _("Variant “%(variant)s” of “%(experiment)s”.") % names


def step_name(step: str) -> str:
    """What proposed an item."""
    known = {
        "pinned": _("pinned by the shop"),
        "sponsored": _("sponsored"),
        "rule": _("a rule of the shop's"),
        "recently_viewed": _("viewed before"),
        "model": _("a model for the session"),
        "co_views": _("a model for the last click"),
        "category": _("the same category"),
        "content": _("similar by its description"),
        "popular": _("most popular"),
        "search": _("the search"),
        "trending": _("trending"),
        "watched": _("watched now"),
        "best_sellers": _("bestsellers"),
        "new": _("new products"),
        BOUGHT_TOGETHER: _("bought together"),
        "static": _("the shop's own fallback"),
        HOLDOUT: _("none, on purpose"),
        EMPTY: _("nothing found"),
    }
    return known.get(step, step.replace("_", " "))


def reason_name(reason: str) -> str:
    """What speaks for an item."""
    known = {
        "viewed": _("viewed in this session"),
        "neighbours": _("similar past sessions"),
        "co_viewed": _("viewed together in past sessions"),
        "network": _("neural network"),
        "session": _("this session"),
        "same_category": _("the same category"),
        "popular": _("most popular"),
    }
    return known.get(reason) or step_name(reason)


def rule_name(rule: str) -> str:
    """A built-in rule in words; the shop's own by its path."""
    known = {
        "sponsored": _("sponsored products first"),
        "pinned": _("pinned products first"),
        "never_the_item_on_screen": _("never the product on screen"),
        "excluded": _("never shown in this placement"),
        "left_out": _("elsewhere on the page"),
        "varied": _("variety"),
        "rotated": _("shown before without a click"),
        "explored": _("drawn by chance"),
        "viewed": _("viewed in this session"),
        "in_basket_or_bought": _("bought or in the basket"),
        "not_in_place_of_it": _("of a category that is in the basket or was bought"),
        "of_bought_categories": _("of a category that was just bought"),
        "every_intent": _("moved so that each intent has a product"),
        "in_rows": _("put into the row of its intent"),
        "one_of_a_family": _("another variant of it is shown, viewed or bought"),
        "arranged": _("arranged so that the rules on places hold"),
        REFILLED: _("shown again, because the rules left too little"),
        "available": _("not offered by the shop now"),
        "not_sensitive": _("sensitive product"),
        "max_per_category": _("at most so many of a category"),
        "describable": _("the catalogue can't describe it"),
        "limit": _("the list was full"),
    }
    if rule.startswith(MERCHANT):
        return _("the merchant's rule %(number)s") % {"number": rule.removeprefix(MERCHANT)}
    return known.get(rule, rule)


def trace_words(trace: Trace, rule: str = "") -> str:
    """What one rule did to an item; `rule`: its name, where somebody knows a better one."""
    rule = rule or rule_name(trace.rule)
    if trace.what == MOVED:
        words = _("%(rule)s: %(places)d up") if trace.places > 0 else _("%(rule)s: %(places)d down")
        return words % {"rule": rule, "places": abs(trace.places)}
    if trace.what == DROPPED:
        return _("%(rule)s: left out") % {"rule": rule}
    return _("%(rule)s: added") % {"rule": rule}
