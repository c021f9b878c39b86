"""Edits of a placement's draft by staff: each holds the draft, changes nothing twice, and is audited."""

from __future__ import annotations

from typing import Any

from django_sessrec.admin.rule_forms import ChangesForm, RuleForm
from django_sessrec.models import AuditEntry
from django_sessrec.rule_models import PlacementRule, RuleSet
from django_sessrec.serving.rule_sets import alike, drafting, in_draft


def change_settings(placement: str, by: str, form: ChangesForm) -> None:
    """Let the draft change these settings of the placement; `by` is a staff user's name."""
    with drafting(placement, by) as draft:
        draft.changes = form.changes()
        _note_edit(draft, by, form.cleaned_data["reason"], "settings changed", **draft.changes)


def save_rule(placement: str, by: str, form: RuleForm, rule: PlacementRule | None) -> None:
    """Write what the form says into the draft's rule, or into a new one where `rule` is None.

    A second click finds the rule that the first one made, and leaves it at that.
    """
    with drafting(placement, by) as draft:
        saved = form.fill(in_draft(rule, draft) if rule else PlacementRule(rule_set=draft))
        same = alike(saved, draft)
        if same is None or same.pk == saved.pk:
            saved.save()
            change = "rule changed" if rule else "rule added"
            _note_edit(draft, by, form.cleaned_data["reason"], change, **_told(saved))


def add_rule(placement: str, by: str, rule: PlacementRule, reason: str) -> None:
    """Put a rule that is not saved yet into the draft, unless one does the same already."""
    with drafting(placement, by) as draft:
        if alike(rule, draft) is None:
            rule.rule_set = draft
            rule.save()
            _note_edit(draft, by, reason, "rule added", **_told(rule))


def remove_rule(placement: str, by: str, rule: PlacementRule, reason: str) -> None:
    """Take a rule, or the draft's copy of a live one, out of the draft, unless it is gone already."""
    with drafting(placement, by) as draft:
        drafted = in_draft(rule, draft)
        if drafted.pk is not None:
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
