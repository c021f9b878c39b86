"""Every alarm in a row: what rings it, with its threshold, and whether it rings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings as django_settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_sessrec.admin.formatting import PER_CENT, fixed
from django_sessrec.conf import sessrec_settings
from django_sessrec.operations.alarms import TITLES
from django_sessrec.operations.findings import Code

OFF, RINGS, SILENT, UNKNOWN = "off", "rings", "silent", "unknown"


@dataclass(frozen=True, slots=True)
class AlarmWords:
    """An alarm's name, its threshold in ALARMS, and when it rings; `share`: whether that is in per cent."""

    title: str | Promise
    threshold: str
    rings: str | Promise
    share: bool = True


WORDS: Final[Mapping[str, AlarmWords]] = {
    "traffic": AlarmWords(
        gettext_lazy("Traffic"),
        "TRAFFIC_FALL",
        gettext_lazy("yesterday's sessions are more than %s below what is usual on that weekday"),
    ),
    "bots": AlarmWords(
        gettext_lazy("Bots"),
        "BOT_SHARE",
        gettext_lazy("more than %s of yesterday's sessions were bots or quarantined"),
    ),
    "clicks": AlarmWords(
        gettext_lazy("Clicks"),
        "CLICKS_FALL",
        gettext_lazy("a week's click-through rate fell by more than %s, and beyond chance"),
    ),
    "sales": AlarmWords(
        gettext_lazy("Sales"),
        "SALES_FALL",
        gettext_lazy("a week's sales after a click fell by more than %s, and beyond chance"),
    ),
    "short_lists": AlarmWords(
        gettext_lazy("Short lists"),
        "LIST_FALL",
        gettext_lazy("a week's lists hold more than %s fewer products"),
    ),
    "full_lists": AlarmWords(
        gettext_lazy("Full lists"),
        "FULL_LISTS_FALL",
        gettext_lazy("more than %s of a week's lists besides the usual ones are too short, beyond chance"),
    ),
    "consent": AlarmWords(
        gettext_lazy("Consent"),
        "CONSENT_FALL",
        gettext_lazy("the share of pages with consent fell by more than %s in a week"),
    ),
    "item_churn": AlarmWords(
        gettext_lazy("Products that are gone"),
        "ITEM_CHURN",
        gettext_lazy("more than %s of last week's products besides the usual ones are not offered any more"),
    ),
    "model_age": AlarmWords(
        gettext_lazy("Age of a model"),
        "MODEL_INTERVALS",
        gettext_lazy("a model in service is older than %s times the hours between its training runs"),
        share=False,
    ),
    "accuracy": AlarmWords(
        gettext_lazy("Accuracy"),
        "ACCURACY_FALL",
        gettext_lazy("a training run finds more than %s fewer next clicks than those before it"),
    ),
}


def alarm_rows(found: Collection[Code]) -> list[tuple[str | Promise, str, str]]:
    """Title, when it rings, and one of OFF, RINGS, SILENT, UNKNOWN; found: the codes of all findings.

    UNKNOWN: alarms could not be examined, or one of them would have been found, or that none rings
    """
    silent = SILENT if {Code.ALARM_NONE, *TITLES} & {*found} else UNKNOWN
    bounds = sessrec_settings.alarms
    rows = []
    for code, name in TITLES.items():
        words = WORDS[name]
        bound = bounds[words.threshold]
        if bound is None:
            rows.append((words.title, _("its threshold %s is not set") % words.threshold, OFF))
            continue
        amount = fixed(100 * bound, 0) + PER_CENT if words.share else fixed(bound, 0 if bound % 1 == 0 else 1)
        rows.append((words.title, str(words.rings) % amount, RINGS if code in found else silent))
    return rows


def mail_sentence() -> str:
    """Who is told by mail, once a day."""
    if not sessrec_settings.alarms["MAIL"]:
        return _("No mail is sent: the shop's settings have turned it off.")
    told = len(django_settings.MANAGERS)
    if not told:
        return _("No mail is sent: MANAGERS in the shop's settings is empty.")
    words = ngettext(
        "While one rings, %d address is told by mail once a day: MANAGERS in the shop's settings.",
        "While one rings, %d addresses are told by mail once a day: MANAGERS in the shop's settings.",
        told,
    )
    return words % told
