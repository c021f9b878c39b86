"""The keys of settings that are dicts themselves: QUARANTINE, ALARMS, a model, a placement, an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, NoneType
from typing import Any, Final

from django.utils.functional import Promise

from django_sessrec.conf.setting import LIST, NUMBER, Setting

MAX_LIMIT: Final = 100  # items of a list

# Of 39,716 real visits with their times (Diginetica, a bookseller's sample) 12 make 15 clicks in a minute
# and none reaches another bound; of 226,386 with and without times two make 20 clicks on one item.
# One click tells nothing, so each bound is 2 or more; None turns the rule off.
QUARANTINE: Final[Mapping[str, Setting[int | None]]] = MappingProxyType(
    {
        "MAX_CLICKS_PER_MINUTE": Setting(30, (int, NoneType), "`flood`: more clicks within a minute", low=2),
        "MAX_CLICKS_WITHOUT_SCRIPT": Setting(
            15,
            (int, NoneType),
            "`no_script`: more clicks within a minute on pages with lists, and nothing from the browser's"
            " script, in a shop whose pages have it",
            low=2,
        ),
        "MIN_EVENLY_SPACED_CLICKS": Setting(
            20,
            (int, NoneType),
            "`even_pace`: smallest number of clicks, where the time between them hardly varies",
            low=2,
        ),
        "MIN_CRAWLED_ITEMS": Setting(
            100,
            (int, NoneType),
            "`crawl`: smallest number of different items, where hardly one is viewed twice",
            low=2,
        ),
        "MAX_CLICKS_ON_ONE_ITEM": Setting(20, (int, NoneType), "`repeat`: more clicks on one item", low=2),
        "MAX_SESSION_HOURS": Setting(
            12, (int, NoneType), "`endless`: more hours without a pause of `SESSION_IDLE_MINUTES`", low=2
        ),
    }
)

EVENT_WEIGHTS: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "VIEW": Setting(1.0, NUMBER, "the session viewed the product", low=0, high=100),
        "DWELL": Setting(
            1.0, NUMBER, "it viewed it, and clicked nothing else for `DWELL_SECONDS`", low=0, high=100
        ),
        "BASKET": Setting(1.0, NUMBER, "it put the product into the basket", low=0, high=100),
        "PURCHASE": Setting(1.0, NUMBER, "it bought the product", low=0, high=100),
        "DWELL_SECONDS": Setting(
            30.0, NUMBER, "seconds until the next click from which a view is a long one", above=0
        ),
    }
)

# Each of yesterday or of the last week, against the four weeks before; None turns an alarm off.
ALARMS: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "TRAFFIC_FALL": Setting(
            0.5,
            (*NUMBER, NoneType),
            "share of the usual sessions of that weekday that may be missing yesterday",
            above=0,
            high=1,
        ),
        "BOT_SHARE": Setting(
            0.5,
            (*NUMBER, NoneType),
            "share of yesterday's sessions that may be bots or quarantined",
            above=0,
            high=1,
        ),
        "CLICKS_FALL": Setting(
            0.3,
            (*NUMBER, NoneType),
            "share by which the click-through rate of a week may fall; chance alone rings no alarm",
            above=0,
            high=1,
        ),
        "SALES_FALL": Setting(
            0.5,
            (*NUMBER, NoneType),
            "share by which a week's sales after a click may fall; chance alone rings no alarm",
            above=0,
            high=1,
        ),
        "LIST_FALL": Setting(
            0.2, (*NUMBER, NoneType), "share by which a week's lists may be shorter", above=0, high=1
        ),
        "FULL_LISTS_FALL": Setting(
            0.05,
            (*NUMBER, NoneType),
            "share of a week's lists that may hold fewer items than wanted, beyond what is usual; chance"
            " alone rings no alarm",
            above=0,
            high=1,
        ),
        "CONSENT_FALL": Setting(
            0.2,
            (*NUMBER, NoneType),
            "share by which the share of pages with consent may fall in a week, and below that of each week"
            " before",
            above=0,
            high=1,
        ),
        "ITEM_CHURN": Setting(
            0.2,
            (*NUMBER, NoneType),
            "share of the products in lists a week ago that the shop may offer no longer, beyond what is"
            " usual",
            above=0,
            high=1,
        ),
        "SLOWER_LISTS_MS": Setting(
            20,
            (*NUMBER, NoneType),
            "milliseconds by which a variant's lists may surely take longer than the control's; more fail its"
            " guard rail",
            low=0,
        ),
        "MODEL_INTERVALS": Setting(
            3, (*NUMBER, NoneType), "times `EVERY_HOURS` that the model in service may be old", low=1
        ),
        "ACCURACY_FALL": Setting(
            0.2,
            (*NUMBER, NoneType),
            "share by which a run's hit rate may be lower than the median of the five runs before",
            above=0,
            high=1,
        ),
        "MIN_DAYS": Setting(
            14, int, "days with figures before any alarm but those of models", low=7, high=21
        ),  # past the four weeks that are looked at, an alarm would be silent for ever
        "MAIL": Setting(True, bool, "whether `MANAGERS` get a mail, once a day, while an alarm rings"),
    }
)

MODEL: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "ESTIMATOR": Setting(None, str, "dotted path of the estimator class", required=True),
        "OPTIONS": Setting({}, dict, "the estimator's keyword arguments"),
        "RECOMMENDER": Setting(
            None,
            str,
            "dotted path of the recommender class that opens the model's artifact, where it is not one of the"
            " package's",
        ),
        "EVERY_HOURS": Setting(24, NUMBER, "hours between training runs from scratch", above=0),
        "REFRESH_HOURS": Setting(
            None,
            NUMBER,
            "hours between the training runs in between, which start from the active model; `None`: there are"
            " none",
            above=0,
        ),
        "REFIT": Setting(
            True,
            bool,
            "after the test on the last days, fit once more with these days; `False` publishes what was"
            " tested",
        ),
    }
)

PLACEMENT: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "MODELS": Setting(
            ["ranked", "neighbours"],
            LIST,
            'model names, tried in order; the default is those of them that `SESSREC["MODELS"]` has',
        ),
        "STEPS": Setting(
            None,
            LIST,
            "steps that bring candidates, asked in this order; `None` is `model`, `co_views`, `category`,"
            " `popular`, `static`. Two more are `recently_viewed`, the session's own items, the newest first,"
            " and `bought_together`, what others bought with the basket and the item on screen. `content` are"
            " products too new for the model that are like what the session looked at. And for every"
            " page: `search` (what the page's query names), `trending`, `watched` (in the last half hour),"
            " `best_sellers`, `new`",
        ),
        "INTENTS": Setting(
            "mixed",
            str,
            "what becomes of a session that looks for several kinds of things: `mixed` gives each its places"
            " in one list, `rows` a row of its own, `off` leaves the list as the model ranks it",
            form=("mixed|rows|off", "'mixed', 'rows' or 'off'"),
        ),
        "LIMIT": Setting(8, int, "size of the list", low=1, high=MAX_LIMIT),
        "TEMPLATE": Setting("sessrec/recommendations.html", str, "the template that renders it"),
        "TITLE": Setting(None, (str, Promise), "heading; `None` is the translated default"),
        "FALLBACK_TITLE": Setting(
            None,
            (str, Promise),
            "heading in place of `TITLE` where the list is the same for everybody, such as the most popular"
            " items, or is to go with a basket (`bought_together` first) and found none, or where other steps"
            " fill up a list that begins with `trending`, `watched`, `best_sellers`, `new` or `popular`;"
            " `None` is a translated default",
        ),
        "PINNED": Setting([], LIST, "item ids always first, labelled as such"),
        "SPONSORED": Setting(
            [],
            LIST,
            "item ids that somebody pays for: after the pinned ones, labelled as sponsored in the template"
            " and in JSON (UCPD, Annex I 11a)",
        ),
        "EXCLUDED": Setting([], LIST, "item ids never shown"),
        "HIDE_VIEWED": Setting(
            True,
            bool,
            "leave out what the session has viewed already; `recently_viewed` is the step that shows it",
        ),
        "HIDE_BOUGHT_CATEGORIES": Setting(
            True,
            bool,
            "after an order, leave out products all of whose categories were bought, and keep views of them"
            " from the models, until the session views another one; they still fill a list that would be"
            " short",
        ),
        "NEW_PRODUCTS": Setting(
            1,
            int,
            "places of the list for products that are too new for the model, where one is like the session by"
            " title, category, brand and price",
            low=0,
            high=MAX_LIMIT,
        ),
        "VARIETY": Setting(
            0.0,
            NUMBER,
            "how much unlike the items above it the next item of the list should be: `0` leaves the order to"
            " relevance, `1` looks at unlikeness alone",
            low=0,
            high=1,
        ),
        "ROTATE_AFTER": Setting(
            None,
            (int, NoneType),
            "lists of this placement in which a session is shown an item without a click on it, after which"
            " the item goes to the end; one more query for each list",
            low=1,
        ),
        "EXPLORE": Setting(
            0.0,
            NUMBER,
            "probability with which a place goes to any of the candidates, so that more can be learnt from"
            " lists; the impression keeps the probability of each item",
            low=0,
            high=0.5,
        ),
        "MAX_PER_CATEGORY": Setting(None, int, "most items of one category", low=1),
        "RULES": Setting(
            [], LIST, "dotted paths of the shop's own rules, applied in this order after the built-in ones"
        ),
        "EXPERIMENT": Setting(None, dict, "an A/B test of this placement, its keys below"),
    }
)

EXPERIMENT: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "NAME": Setting(None, str, "the name in reports", required=True),
        "VARIANTS": Setting(
            None,
            dict,
            'variant name → its `SHARE` and the keys of a placement that it changes: `{"a": {"SHARE": 50,'
            ' "MODELS": [...]}, "b": {"SHARE": 50}}`; two or more',
            required=True,
        ),
    }
)
VARIANT: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {
        "SHARE": Setting(
            None, NUMBER, "its share of the sessions, relative to the other variants'", low=0, required=True
        ),
        **{key: each for key, each in PLACEMENT.items() if key != "EXPERIMENT"},
    }
)
