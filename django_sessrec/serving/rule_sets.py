"""A placement's rule sets: draft, publish, undo. What serves follows within seconds (merchant_rules)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from django_sessrec import database
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.serving import merchant_rules

COPIED = ("kind", "parameters", "starts_at", "ends_at", "group", "note")


class RuleSetError(Exception):
    """A rule set that can't be published, with the reason."""


def live_set(placement: str) -> RuleSet | None:
    """The published set that the placement's lists follow."""
    return RuleSet.objects.history(placement).first()


def has_effect(rule_set: RuleSet | None) -> bool:
    """Whether the set has a rule or changes a setting."""
    return rule_set is not None and bool(rule_set.changes or rule_set.rules.exists())


def overtaken(draft: RuleSet | None) -> RuleSet | None:
    """The live version, if it was brought back after the draft was begun, so that the draft lacks it."""
    live = live_set(draft.placement) if draft else None
    return live if draft and live and live.pk > draft.pk else None


@contextmanager
def drafting(placement: str, by: str) -> Iterator[RuleSet]:
    """The placement's draft; nobody else publishes or changes it before the block ends."""
    with database.atomic():
        yield draft_of(placement, by)


def draft_of(placement: str, by: str) -> RuleSet:
    """The placement's draft, which begins as a copy of what is live. `by`: a staff user's name.

    To change it use drafting(): a set that is published meanwhile must not change any more.
    """
    with database.atomic():
        draft, new = RuleSet.objects.select_for_update().get_or_create(
            placement=placement, published_at=None, defaults={"changed_by": by}
        )
        if new and (live := live_set(placement)) is not None:
            draft.changes = live.changes
            draft.save()
            _copy(live.rules.all(), draft)
    return draft


def in_draft(rule: PlacementRule, draft: RuleSet) -> PlacementRule:
    """The draft's rule that stands for this one, which may be a live one that the draft copied."""
    own = rule.rule_set_id == draft.pk
    found = draft.rules.filter(pk=rule.pk).first() if own else alike(rule, draft)
    return found or PlacementRule(rule_set=draft)


def alike(rule: PlacementRule, draft: RuleSet) -> PlacementRule | None:
    """The draft's rule that does the same as this one, whatever its note says."""
    found: PlacementRule | None = draft.rules.filter(
        kind=rule.kind, parameters=rule.parameters, starts_at=rule.starts_at, ends_at=rule.ends_at,
        group=rule.group,
    ).first()  # fmt: skip
    return found


def publish(draft: RuleSet, by: str, reason: str) -> RuleSet:
    """Let the placement's lists follow the draft; RuleSetError where it is no draft any more."""
    published = RuleSet.objects.filter(pk=draft.pk, published_at=None).update(
        published_at=timezone.now(), published_by=by, reason=reason
    )
    if not published:
        raise RuleSetError(_("This draft is published or discarded already."))
    merchant_rules.expire()
    draft.refresh_from_db()
    return draft


def discard(draft: RuleSet) -> None:
    """Delete a draft with its rules; RuleSetError where it is none any more, since what was live stays."""
    with database.atomic():
        held = RuleSet.objects.select_for_update().filter(pk=draft.pk, published_at=None).first()
        if held is None:
            raise RuleSetError(_("This draft is published or discarded already."))
        held.delete()


def restore(earlier: RuleSet, by: str, reason: str) -> RuleSet:
    """Publish an earlier set's rules again, as a new line of the history. A draft stays as it is."""
    if earlier.published_at is None:
        raise RuleSetError("a draft was never live")
    with database.atomic():
        again = _published(earlier.placement, by, reason, earlier.changes)
        _copy(earlier.rules.all(), again)
    merchant_rules.expire()
    return again


def restore_none(placement: str, by: str, reason: str) -> RuleSet:
    """Publish a set without rules, as it was before the first one. A draft stays as it is."""
    published = _published(placement, by, reason, {})
    merchant_rules.expire()
    return published


def _published(placement: str, by: str, reason: str, changes: dict[str, Any]) -> RuleSet:
    new: RuleSet = RuleSet.objects.create(
        placement=placement,
        changes=changes,
        changed_by=by,
        published_at=timezone.now(),
        published_by=by,
        reason=reason,
    )
    return new


def _copy(rules: Iterable[PlacementRule], into: RuleSet) -> None:
    PlacementRule.objects.bulk_create(
        PlacementRule(rule_set=into, **{name: getattr(rule, name) for name in COPIED}) for rule in rules
    )
