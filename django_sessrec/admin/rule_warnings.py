"""What in a set of rules contradicts itself, is over, or can have no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec.admin.rule_fields import attribute_name
from django_sessrec.admin.rule_words import NAMED, UNREADABLE, Words, listed
from django_sessrec.conf import sessrec_settings
from django_sessrec.rule_models import PlacementRule
from django_sessrec.serving.merchant_rules import BY_PLACE, MerchantRule
from django_sessrec.serving.placements import Placement

Kind = PlacementRule.Kind
Pair = tuple[PlacementRule, MerchantRule]


def warnings(rules: Sequence[PlacementRule], placement: Placement, words: Words) -> list[str]:
    """Sentences for the merchant, none where all is well."""
    read = [(row, rule) for row in rules if (rule := _read(row)) is not None]
    unread = [words.sentence(row) for row in rules if _read(row) is None]
    alone = [sentence for row, rule in read for sentence in _alone(row, rule, placement, words)]
    together = [sentence for one, other in combinations(read, 2) for sentence in _together(one, other, words)]
    return [*unread, *alone, *together]


def _read(row: PlacementRule) -> MerchantRule | None:
    try:
        return MerchantRule.of(row)
    except UNREADABLE:
        return None


def _alone(row: PlacementRule, rule: MerchantRule, placement: Placement, words: Words) -> Iterator[str]:
    said = {"rule": words.sentence(row)}
    if rule.ends_at is not None and rule.ends_at <= timezone.now():
        yield _("“%(rule)s” is over: it has no effect any more.") % said
    if rule.group and not sessrec_settings.CUSTOMER_GROUP:
        yield _("“%(rule)s” is for a group, and the shop's settings have no CUSTOMER_GROUP.") % said
    for match in filter(None, (rule.what, rule.other, rule.on_screen)):
        if lacking := words.on_no_product(match):
            warning = (
                _("“%(rule)s” is only for pages of the %(attribute)s %(values)s, which no product has.")
                if match is rule.on_screen
                else _("“%(rule)s”: no product has the %(attribute)s %(values)s.")
            )
            yield warning % {
                **said,
                "attribute": attribute_name(match.attribute),
                "values": listed(lacking[:NAMED], len(lacking[NAMED:])),
            }
    if rule.kind in BY_PLACE:
        if rule.item_id not in words.offered:
            yield _("“%(rule)s”: the product is not available now; its place goes to the next one.") % said
        if rule.position > placement.limit:
            yield _("“%(rule)s”: the list has only %(limit)d places.") % {**said, "limit": placement.limit}


def _together(one: Pair, other: Pair, words: Words) -> Iterator[str]:
    """Whether the second contradicts the first where both apply."""
    (row, rule), (other_row, other_rule) = one, other
    if not _meet(rule, other_rule):
        return
    said = {"one": words.sentence(row), "other": words.sentence(other_row)}
    for contradicts, sentence in CONTRADICTIONS:
        if contradicts(rule, other_rule, words) or contradicts(other_rule, rule, words):
            yield sentence() % said
            return


def _meet(one: MerchantRule, other: MerchantRule) -> bool:
    """Whether both may apply to one list: their dates overlap, and their groups are not two."""
    groups = {one.group, other.group} - {""}
    ends = [rule.ends_at for rule in (one, other) if rule.ends_at]
    starts = [rule.starts_at for rule in (one, other) if rule.starts_at]
    apart = bool(ends and starts) and min(ends) <= max(starts)
    pages = one.on_screen is None or other.on_screen is None or one.on_screen == other.on_screen
    return len(groups) < 2 and not apart and pages


def _hides_what_is_placed(one: MerchantRule, other: MerchantRule, words: Words) -> bool:
    if one.kind not in BY_PLACE or other.kind != Kind.HIDE or other.what is None:
        return False
    return words.among(one.item_id, other.what)


def _same_place(one: MerchantRule, other: MerchantRule, _words: Words) -> bool:
    return one.kind in BY_PLACE and other.kind in BY_PLACE and one.position == other.position


def _same_product(one: MerchantRule, other: MerchantRule, _words: Words) -> bool:
    return one.kind in BY_PLACE and other.kind in BY_PLACE and one.item_id == other.item_id


def _up_and_down(one: MerchantRule, other: MerchantRule, _words: Words) -> bool:
    return one.kind == Kind.BOOST and other.kind == Kind.BURY and one.what == other.what


def _same_and_other(one: MerchantRule, other: MerchantRule, _words: Words) -> bool:
    both = one.kind == other.kind == Kind.RELATED
    return both and one.attribute == other.attribute and one.same != other.same


def _no_price_left(one: MerchantRule, other: MerchantRule, _words: Words) -> bool:
    if not one.kind == other.kind == Kind.PRICE or one.relative != other.relative:
        return False
    return one.high is not None and other.low is not None and other.low > one.high


CONTRADICTIONS: Iterable[tuple[Callable[[MerchantRule, MerchantRule, Words], bool], Callable[[], Any]]] = (
    (_hides_what_is_placed, lambda: _("“%(one)s” and “%(other)s”: hiding wins.")),
    (_same_product, lambda: _("“%(one)s” and “%(other)s”: the product is shown once, at the first place.")),
    (_same_place, lambda: _("“%(one)s” and “%(other)s”: the second follows at the next place.")),
    (_up_and_down, lambda: _("“%(one)s” and “%(other)s” work against each other.")),
    (_same_and_other, lambda: _("“%(one)s” and “%(other)s” leave nothing: the list is filled without them.")),
    (_no_price_left, lambda: _("“%(one)s” and “%(other)s” leave no price: the list is filled without them.")),
)
