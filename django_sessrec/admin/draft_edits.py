"""Edits of a placement's draft by staff: each holds the draft, changes nothing twice, and is audited."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from django_sessrec.admin.rule_forms import ChangesForm, RuleForm
from django_sessrec.models import AuditEntry
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.serving.rule_sets import COPIED, alike, drafting, in_draft, live_set


class ChangedMeanwhileError(Exception):
    """Somebody else changed what a form changes after the form was shown."""


class RuleGoneError(Exception):
    """The draft does not hold a rule, or its copy of a live one, any more: somebody changed or removed it."""


def stands(edited: PlacementRule | dict[str, Any]) -> str:
    """A text that changes when a rule, or a draft's changed settings, change."""
    if isinstance(edited, PlacementRule):
        edited = {name: getattr(edited, name) for name in COPIED}
    return sha256(json.dumps(edited, sort_keys=True, default=str).encode()).hexdigest()


def settings_of(placement: str) -> dict[str, Any]:
    """What the placement's draft changes, or what is live changes where there is no draft."""
    shown = RuleSet.objects.draft(placement) or live_set(placement)
    return shown.changes if shown else {}


def drafted(placement: str, rule: PlacementRule) -> PlacementRule | None:
    """The draft's rule that stands for this one, if it still does; without a draft, what is live has it."""
    shown = RuleSet.objects.draft(placement) or live_set(placement)
    found = in_draft(rule, shown) if shown else None
    return found if found and found.pk else None


def change_settings(placement: str, by: str, form: ChangesForm, stood: str = "") -> None:
    """Let the draft change these settings of the placement; `by` is a staff user's name.

    stood: what stands() told when the form was shown. ChangedMeanwhileError where it tells something else
    now, unless what the form wants stands already, as after a second click.
    """
    with drafting(placement, by) as draft:
        wanted = form.changes()
        if wanted != draft.changes:
            _refuse_if_changed(stood, stands(draft.changes))
        draft.changes = wanted
        _note_edit(draft, by, form.cleaned_data["reason"], "settings changed", **draft.changes)


def save_rule(placement: str, by: str, form: RuleForm, rule: PlacementRule | None, stood: str = "") -> None:
    """Write what the form says into the draft's rule, or into a new one where `rule` is None.

    A second click finds the rule that the first one made, and leaves it at that. stood: as for settings.
    RuleGoneError where the draft has neither this rule nor its copy: a second one would stand beside theirs.
    """
    with drafting(placement, by) as draft:
        held = in_draft(rule, draft) if rule else PlacementRule(rule_set=draft)
        now = stands(held)
        saved = form.fill(held)
        same = alike(saved, draft)
        if rule and same is None:
            if held.pk is None:
                raise RuleGoneError
            _refuse_if_changed(stood, now)
        if same is None or same.pk == saved.pk:
            saved.save()
            change = "rule changed" if rule else "rule added"
            _note_edit(draft, by, form.cleaned_data["reason"], change, **_told(saved))


def _refuse_if_changed(stood: str, now: str) -> None:
    if stood and stood != now:
        raise ChangedMeanwhileError


def add_rule(placement: str, by: str, rule: PlacementRule, reason: str) -> None:
    """Put a rule that is not saved yet into the draft, unless one does the same already."""
    with drafting(placement, by) as draft:
        if alike(rule, draft) is None:
            rule.rule_set = draft
            rule.save()
            _note_edit(draft, by, reason, "rule added", **_told(rule))


def remove_rule(placement: str, by: str, rule: PlacementRule, reason: str) -> None:
    """Take a rule, or the draft's copy of a live one, out of the draft; RuleGoneError where it is gone."""
    with drafting(placement, by) as draft:
        drafted = in_draft(rule, draft)
        if drafted.pk is None:
            raise RuleGoneError
        drafted.delete()
        _note_edit(draft, by, reason, "rule removed", **_told(rule))


def note(by: str, reason: str, placement: str, change: str, **detail: Any) -> None:
    """Audit what was done to a placement's rules."""
    AuditEntry.objects.note(
        AuditEntry.Action.RULES, by, reason=reason, placement=placement, change=change, **detail
    )


def _note_edit(draft: RuleSet, by: str, reason: str, change: str, **detail: Any) -> None:
    """Audit a change that no visitor sees yet; the page says who made it last."""
    draft.changed_by = by
    draft.save()  # and when
    note(by, reason, draft.placement, f"draft: {change}", **detail)


def _told(rule: PlacementRule) -> dict[str, Any]:
    """What the audit trail keeps of a rule."""
    return {"rule": rule.kind, **rule.parameters}
