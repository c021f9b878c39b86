"""Alarms: figures of whole days that fall out of their usual range, each with its threshold in the settings.

Yesterday and the last week are held against the four weeks before them, from the roll-ups. Before a shop has
MIN_DAYS days of figures every alarm but those of models is silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from statistics import median
from typing import Final

from django.core.mail import mail_managers
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_sessrec.conf import sessrec_settings
from django_sessrec.currencies import decimals
from django_sessrec.figure_models import DailyCatalogue
from django_sessrec.localised import number
from django_sessrec.measuring import rollups
from django_sessrec.measuring.comparison import difference
from django_sessrec.measuring.days import ONE, today
from django_sessrec.measuring.kpis import Kpi, Pages, Sessions, figures, pages, sessions
from django_sessrec.measuring.proportions import Rate
from django_sessrec.models import Promotion, Receipt, TrainingRun
from django_sessrec.operations.findings import Code, Finding, ok, warn

WEEKS: Final = 4  # that yesterday is held against, each with its own same weekday
RUNS: Final = 5  # earlier training runs that the newest is held against
HOUR: Final = timedelta(hours=1)
MAILED: Final = "alarm mail"  # name of the receipt that says which day was mailed
TITLES: Final = {
    Code.ALARM_TRAFFIC: "traffic",
    Code.ALARM_BOTS: "bots",
    Code.ALARM_CLICKS: "clicks",
    Code.ALARM_SALES: "sales",
    Code.ALARM_SHORT_LISTS: "short_lists",
    Code.ALARM_FULL_LISTS: "full_lists",
    Code.ALARM_CONSENT: "consent",
    Code.ALARM_ITEM_CHURN: "item_churn",
    Code.ALARM_MODEL_AGE: "model_age",
    Code.ALARM_ACCURACY: "accuracy",
}


def alarms() -> Iterator[Finding]:
    """The alarms that ring; where none does, one finding that says so."""
    found = [*_of_days(), *_of_consent(), *_of_catalogue(), *_of_models()]
    yield from found
    if not found:
        yield ok(
            Code.ALARM_NONE,
            _("Traffic, consent, bots, clicks, sales, lists, products and models are as usual."),
        )


def ringing() -> Mapping[str, bool]:
    """Every alarm by its name, and whether it rings."""
    now = {finding.code for finding in alarms()}
    return {name: code in now for code, name in TITLES.items()}


def mail() -> bool:
    """Tell MANAGERS once a day which alarms ring; whether a mail was sent."""
    found = [finding for finding in alarms() if finding.code in TITLES]
    day = today().isoformat()
    if not found or not sessrec_settings.alarms["MAIL"]:
        return False
    receipt, _made = Receipt.objects.get_or_create(name=MAILED, defaults={"messages": []})
    if receipt.messages == [day]:
        return False
    lines = [f"{finding.message}\n    {finding.remedy}" for finding in found]
    subject = ngettext("Recommendations: %(count)d alarm", "Recommendations: %(count)d alarms", len(found))
    mail_managers(subject % {"count": len(found)}, "\n\n".join(lines))
    Receipt.objects.filter(name=MAILED).update(messages=[day], received_at=timezone.now())
    return True


def _of_days() -> Iterator[Finding]:
    bounds = sessrec_settings.alarms
    yesterday = today() - ONE
    week = (yesterday - timedelta(days=6), yesterday)
    before = (yesterday - timedelta(days=6 + 7 * WEEKS), yesterday - timedelta(days=7))
    shop = sessions(before[0], yesterday)
    if not shop or (yesterday - min(shop)).days < bounds["MIN_DAYS"]:
        return
    if not rollups.are_complete(max(week[0], min(shop)), yesterday):
        return  # a day that is counted in part would seem to have fallen
    yield from _traffic(shop, yesterday, bounds)
    now, usual = (figures(*days).get((), Kpi()) for days in (week, before))
    weeks = max(1, (week[0] - min(shop)).days) / 7  # a young shop has fewer than WEEKS before the last one
    yield from _lists(now, usual, weeks, bounds)
    yield from _sales(now, usual, weeks, bounds)


def _traffic(
    shop: Mapping[date, Sessions], yesterday: date, bounds: Mapping[str, float | None]
) -> Iterator[Finding]:
    now = shop.get(yesterday, Sessions())
    same_days = [
        shop[day].sessions
        for week in range(1, WEEKS + 1)
        if (day := yesterday - timedelta(weeks=week)) in shop
    ]
    usual = median(same_days) if same_days else 0
    least = bounds["TRAFFIC_FALL"]
    if least is not None and usual and now.sessions < (1 - least) * usual:
        yield warn(
            Code.ALARM_TRAFFIC,
            _("%(now)s sessions were captured yesterday; %(usual)s are usual on this weekday.")
            % {"now": number(now.sessions), "usual": number(usual)},
            _("See whether the shop had fewer visitors, or whether consent, middleware or template changed."),
        )
    most = bounds["BOT_SHARE"]
    every = now.sessions + now.bots + now.quarantined
    left_out = now.bots + now.quarantined
    if most is not None and every and left_out > most * every:
        yield warn(
            Code.ALARM_BOTS,
            _("%(share)s %% of yesterday's sessions were bots or quarantined.")
            % {"share": number(100 * left_out / every)},
            _("They count nowhere. Read under Quarantined sessions what they did, and block them in front."),
        )


def _lists(now: Kpi, usual: Kpi, weeks: float, bounds: Mapping[str, float | None]) -> Iterator[Finding]:
    """weeks: that `usual` is of"""
    shorter = bounds["LIST_FALL"]
    if not usual.impressions:
        return
    if not now.impressions:  # neither clicks nor lengths tell that
        if shorter is not None:
            yield warn(
                Code.ALARM_SHORT_LISTS,
                _("No list was shown in the last week; %(usual)s a week are usual.")
                % {"usual": number(usual.impressions / weeks)},
                _("See whether the templates still have their tags, and whether pages log errors."),
            )
        return
    ctr, usual_ctr = now.rate("ctr"), usual.rate("ctr")
    changed = difference(ctr, usual_ctr)
    fall = bounds["CLICKS_FALL"]
    if (
        fall is not None
        and changed is not None
        and changed.high < 0  # beyond chance
        and (ctr.value or 0) < (1 - fall) * (usual_ctr.value or 0)
    ):
        yield warn(
            Code.ALARM_CLICKS,
            _("%(now)s %% of the last week's lists were clicked; %(usual)s %% are usual.")
            % {"now": number(100 * (ctr.value or 0), 1), "usual": number(100 * (usual_ctr.value or 0), 1)},
            _("Compare the run that serves with the one before under Models; look at rules and templates."),
        )
    length, usual_length = (each.items_shown / each.impressions for each in (now, usual))
    if shorter is not None and length < (1 - shorter) * usual_length:
        yield warn(
            Code.ALARM_SHORT_LISTS,
            _("Lists held %(now)s products in the last week; %(usual)s are usual.")
            % {"now": number(length, 1), "usual": number(usual_length, 1)},
            _("See whether rules leave out too much, and whether products are sold out."),
        )
    yield from _full_lists(now.rate("short_share"), usual.rate("short_share"), bounds)


def _full_lists(short: Rate, usual: Rate, bounds: Mapping[str, float | None]) -> Iterator[Finding]:
    fall, more = bounds["FULL_LISTS_FALL"], difference(short, usual)
    if fall is None or more is None or more.value <= fall or more.low <= 0:  # chance
        return
    yield warn(
        Code.ALARM_FULL_LISTS,
        _(
            "%(now)s %% of the last week's lists were shorter than their placement asks for; %(usual)s %%"
            " are usual."
        )
        % {"now": number(100 * (short.value or 0), 1), "usual": number(100 * (usual.value or 0), 1)},
        _("See under Placements which lists are short, and whether rules or sold-out products shorten them."),
    )


def _of_consent() -> Iterator[Finding]:
    """The last week below each of those before: pages of one visit answer alike, and weeks do not."""
    bounds = sessrec_settings.alarms
    fall, yesterday = bounds["CONSENT_FALL"], today() - ONE
    counted = pages(yesterday - timedelta(days=6 + 7 * WEEKS), yesterday)
    if fall is None or not counted or (yesterday - min(counted)).days < bounds["MIN_DAYS"]:
        return
    weeks = [Pages() for _week in range(WEEKS + 1)]
    for day, of_day in counted.items():
        weeks[(yesterday - day).days // 7] += of_day
    now, *before = weeks
    shares = [week.consent_share for week in before if week.consent_share is not None]
    if now.consent_share is None or not shares:
        return
    usual = median(shares)
    surely = Rate(now.with_consent, now.people).interval[1]
    if surely < (1 - fall) * usual and surely < min(shares):
        yield warn(
            Code.ALARM_CONSENT,
            _("%(now)s %% of the last week's pages had consent; %(usual)s %% are usual.")
            % {"now": number(100 * now.consent_share), "usual": number(100 * usual)},
            _(
                "See whether the consent banner or its texts changed: without consent nothing is recommended"
                " from clicks, and nothing counted."
            ),
        )


def _of_catalogue() -> Iterator[Finding]:
    bounds = sessrec_settings.alarms
    allowed, day = bounds["ITEM_CHURN"], today()
    known = DailyCatalogue.objects.filter(day__gte=day - timedelta(weeks=WEEKS)).order_by("-day")
    rates = [Rate(each.gone, each.looked_at) for each in known]
    if allowed is None or len(rates) <= bounds["MIN_DAYS"] or known[0].day < day - ONE:
        return
    now, *before = rates
    usual = median(each.value or 0 for each in before)
    if (now.value or 0) > usual + allowed and now.interval[0] > usual:
        yield warn(
            Code.ALARM_ITEM_CHURN,
            _(
                "%(now)s %% of the products in last week's lists are not offered any more; %(usual)s %%"
                " are usual."
            )
            % {"now": number(100 * (now.value or 0)), "usual": number(100 * usual)},
            _(
                "See whether an import took products out or gave them new ids: models know the old ones only,"
                " until they are trained again."
            ),
        )


def _sales(now: Kpi, usual: Kpi, weeks: float, bounds: Mapping[str, float | None]) -> Iterator[Finding]:
    """weeks: that `usual` is of"""
    fall = bounds["SALES_FALL"]
    if fall is None:
        return
    for currency, money in usual.money.items():
        a_week = float(money.direct) / weeks
        sold = float(now.money[currency].direct) if currency in now.money else 0.0
        margin = usual.revenue_margin(currency)
        if margin is None or a_week <= 0:
            continue
        by_chance = margin / weeks**0.5  # the width of one week, from that of all
        places = decimals(currency)
        if sold < (1 - fall) * a_week and sold < a_week - by_chance:
            yield warn(
                Code.ALARM_SALES,
                _("Sales after a click were %(now)s %(currency)s in the last week; %(usual)s are usual.")
                % {"now": number(sold, places), "usual": number(a_week, places), "currency": currency},
                _("See under Today whether the whole shop sold less, and under Placements which list fell."),
            )


def _of_models() -> Iterator[Finding]:
    bounds = sessrec_settings.alarms
    for name in sessrec_settings.MODELS:
        run = Promotion.objects.active(name)
        if run is None:
            continue
        intervals = bounds["MODEL_INTERVALS"]
        age = timezone.now() - run.created_at
        planned = timedelta(hours=sessrec_settings.model(name)["EVERY_HOURS"])
        if intervals is not None and age > intervals * planned:
            yield warn(
                Code.ALARM_MODEL_AGE,
                _("%(run)s is %(hours)s hours old; a new one is due every %(due)s hours.")
                % {"run": run, "hours": number(age / HOUR), "due": number(planned / HOUR)},
                _("See under Models why later runs failed or were refused, and whether the worker runs."),
            )
        yield from _accuracy(run, bounds["ACCURACY_FALL"])


def _accuracy(run: TrainingRun, fall: float | None) -> Iterator[Finding]:
    earlier = TrainingRun.objects.filter(model=run.model, pk__lt=run.pk, state=TrainingRun.State.PUBLISHED)
    hits = [_hit_rate(each) for each in earlier[:RUNS]]
    known = [each for each in hits if each is not None]
    now = _hit_rate(run)
    if fall is None or now is None or len(known) < RUNS:
        return
    usual = median(known)
    if now < (1 - fall) * usual:
        fell = (
            _("%(run)s found %(now)s %% of the baskets' products in its test; %(usual)s %% are usual.")
            if run.on_baskets
            else _("%(run)s found %(now)s %% of the next clicks in its test; %(usual)s %% are usual.")
        )
        yield warn(
            Code.ALARM_ACCURACY,
            fell % {"run": run, "now": number(now, 1), "usual": number(usual, 1)},
            _("Compare it with the run before under Models; look for a broken product feed or bots."),
        )


def _hit_rate(run: TrainingRun) -> float | None:
    found = run.figures.get("candidate", {}).get("hr@20")
    return float(found) if isinstance(found, int | float) else None
