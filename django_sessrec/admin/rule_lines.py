"""Rules and previews as lines of the placements' pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import ngettext

from django_sessrec.admin.rule_words import Words
from django_sessrec.admin.words import variant_words
from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.merchant_rules import trace_name
from django_sessrec.serving.preview import Example

PRODUCTS_NAMED: Final = 8  # that a preview says are gone or new
CLICKS_NAMED: Final = 4


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as the page shows it."""

    rule: PlacementRule
    kind: str
    sentence: str
    conditions: Sequence[str]
    effect: str = ""


def in_order(rules: Sequence[PlacementRule]) -> list[PlacementRule]:
    """In the order of their application."""
    order = list(PlacementRule.Kind.values)
    return sorted(rules, key=lambda rule: order.index(rule.kind) if rule.kind in order else len(order))


def rule_line(
    rule: PlacementRule, words: Words, touched: Mapping[str, int] | None = None, lists: int = 0
) -> RuleLine:
    label = rule.get_kind_display()
    effect = ""
    if touched is not None:
        number = touched.get(trace_name(rule), 0)
        effect = ngettext(
            "changed %(number)d of %(lists)d list", "changed %(number)d of %(lists)d lists", lists
        )
        effect %= {"number": number, "lists": lists}
    return RuleLine(rule, label, words.sentence(rule), words.conditions(rule), effect)


def most_named(items: Counter[str], words: Words) -> list[tuple[str, int]]:
    """The products of most lists, each with their number."""
    return [(words.product(item_id), lists) for item_id, lists in items.most_common(PRODUCTS_NAMED)]


def example_lists(example: Example, words: Words) -> dict[str, Any]:
    """The last clicks and both lists; each product with whether only this list has it."""
    lists = [[each.item_id for each in choice.chosen] for choice in (example.before, example.after)]
    before, after = (
        [(words.product(item_id), item_id not in other) for item_id in ids]
        for ids, other in zip(lists, reversed(lists), strict=True)
    )
    clicked = example.visit.clicks[-CLICKS_NAMED:]
    words.look_up(clicked)
    clicks = [words.product(item_id) for item_id in clicked]
    variant = variant_words(example.placement)
    return {"clicks": clicks, "variant": variant, "before": before, "after": after}
