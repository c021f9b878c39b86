"""The hourly upkeep: one list of verbs, for the schedule's task and for sessrec_prune."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django_sessrec.capture import bot_rules, partitions
from django_sessrec.measuring import rollups
from django_sessrec.operations import alarms, item_churn
from django_sessrec.privacy import retention
from django_sessrec.training import artifact_store, click_files, host_copies, resume, run_recorder


class UpkeepError(Exception):
    """Some of the upkeep's verbs failed; the others were done. The message names each with its error."""


def verbs(*, force: bool = False) -> dict[str, Callable[[], Any]]:
    """The verbs by what their result holds, in the order in which they are done."""
    return {
        "partitions": partitions.ensure_ahead,
        "quarantined": bot_rules.quarantine,
        "rolled_up": rollups.roll_up_due,  # before what the sums are made of is deleted
        "churn_counted": item_churn.count_churn,
        "alarms_mailed": alarms.mail,
        "purged": lambda: retention.purge(force=force),
        "stale_runs": run_recorder.fail_stale,
        "unfinished_trainings": resume.discard_old,
        "click_files": click_files.tidy,
        "artifacts": artifact_store.prune_all,
        "silent_hosts": host_copies.forget_silent,
    }


def upkeep(*, force: bool = False) -> Mapping[str, Any]:
    """Do each verb; returns what each gave, by its name in verbs().

    force: delete even more than is plausible at once, see retention.purge
    Raises UpkeepError after all were tried, where some failed: one that is locked out stops no other.
    """
    done: dict[str, Any] = {}
    problems: dict[str, Exception] = {}
    for name, verb in verbs(force=force).items():
        try:
            done[name] = verb()
        except Exception as problem:
            problems[name] = problem
    if problems:
        text = "; ".join(f"{name}: {str(problem).strip()}" for name, problem in problems.items())
        raise UpkeepError(text) from next(iter(problems.values()))
    return done
