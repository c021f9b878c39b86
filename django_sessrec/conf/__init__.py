"""The SESSREC settings: each declared once, with its default, type, bounds and help.

The shop's one dict is read live over these declarations; the checks and the settings' reference page
(docs/reference/settings.md) derive from them.

Merging has one rule. A dict whose keys are the app's (QUARANTINE, ALARMS, a model, a placement) is merged
over the defaults of these keys. A dict whose keys the shop chooses (MODELS, PLACEMENTS, TRACKED_VIEWS)
replaces the default: merged, it could never leave out the default's model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_sessrec.conf import entries
from django_sessrec.conf.setting import LIST, NUMBER, RATE, Setting, given

MAX_DAYS: Final = 36_500  # a century: much more ago is before the first date that Python knows

# A model's own value of these overrides the one of all models.
INHERITED: Final = (
    "TRAINING_WINDOW_DAYS",
    "VALIDATION_FRACTION",
    "MIN_SESSIONS",
    "GATE_TOLERANCE",
    "GATE_FIGURE",
    "EVENT_WEIGHTS",
)


class Settings:
    """Attribute access to SESSREC over the defaults, as they are now: override_settings works."""

    # The shop's side
    CATALOGUE = Setting[str | None](
        None, str, "dotted path of a `Catalogue` subclass: the one required key", required=True
    )
    TRACKED_VIEWS = Setting[Mapping[str, str]](
        {}, dict, 'view name → URL argument that is the item id: `{"shop:product_detail": "pk"}`'
    )
    CONSENT = Setting[str | None](
        None,
        str,
        'dotted path of a function of the request that returns `"none"`, `"session"`, or `"opt-in"` for a'
        " visitor's own explicit yes, which alone overrides `Sec-GPC: 1`; without it every visit is"
        " contextual: no cookie, no row",
    )
    CONSENT_BLOCKS = Setting[bool](
        True,
        bool,
        "whether `CONSENT` may block, as a query does. With `False` async pages call it on the event loop,"
        " which spares each page of a visitor who brings a session a change of threads",
    )
    IGNORE_REQUEST = Setting[str | None](
        None,
        str,
        "dotted path of a function of the request; where it returns true, or fails, which is logged, nothing"
        " is captured. Prefetches and staff are never captured. Bot events are stored with `bot=True` and"
        " excluded from training and reports",
    )
    CUSTOMER_GROUP = Setting[str | None](
        None,
        str,
        "dotted path of a function of the request that returns the name of the customer's group, or `None`;"
        " asked only where a merchant's rule is for one group, and the page is then private",
    )
    ITEM_VECTORS = Setting[str | None](
        None,
        str,
        "dotted path of a function of a dict of products by id that returns vectors by id, all of one length,"
        " such as of a text or image model that the shop runs: they take the place of title, attributes and"
        " price for products that no model knows yet",
    )
    CURRENCY = Setting[str](
        "",
        str,
        "currency of prices that are recorded without one",
        form=("([A-Z]{3})?", "three capital letters of ISO 4217, such as 'EUR'"),
    )

    # Capture
    DATABASE = Setting[str]("default", str, "alias of the PostgreSQL database that holds the app's tables")
    STREAM_URL = Setting[str | None](
        None,
        str,
        "Redis or Valkey that takes rows before Postgres does; `sessrec_consume` stores them",
        form=(
            r"((rediss?|unix)://\S+)?",
            "'redis://host:port/0', 'rediss://host:port/0' over TLS, or 'unix:///path'",
        ),
    )
    STREAM_KEY_PREFIX = Setting[str](
        "sessrec:",
        str,
        "start of every key in `STREAM_URL`; two shops on one Redis need two prefixes",
        form=(r"\S+", "text without spaces"),
    )
    STREAM_MAX_LENGTH = Setting[int](
        200_000,
        int,
        "messages that may wait in the stream; beyond it pages write to Postgres themselves",
        low=1,
    )
    COOKIE_NAME = Setting[str](
        "sessrec",
        str,
        "the first-party session cookie, signed with `SECRET_KEY`; `sessrec_off` is that of visitors who"
        " switched personalisation off",
        form=(r"[\w-]+", "letters, digits, underscores and hyphens"),
    )
    COOKIE_DOMAIN = Setting[str | None](None, str, "its domain; `None` is the host that set it")
    COOKIE_SECURE = Setting[bool | None](
        None,
        bool,
        "whether the cookie is sent over HTTPS only; `None` is `request.is_secure()`, which behind a proxy"
        " that ends TLS needs Django's `SECURE_PROXY_SSL_HEADER`",
    )
    COOKIE_SAMESITE = Setting[str](
        "Lax",
        str,
        "its SameSite attribute; `None` is for shops inside another site's frame, and needs HTTPS. With"
        " `Strict` the page on which a visitor arrives from another site, such as a search engine or a"
        " newsletter, begins no session and is not captured",
        form=("Lax|Strict|None", "'Lax', 'Strict' or 'None'"),
    )
    SESSION_IDLE_MINUTES = Setting[float](
        30, NUMBER, "a session ends after this time without a click, and after 24 hours in any case", above=0
    )
    SESSIONS_PER_CLIENT = Setting[int | None](
        300,
        (int, NoneType),
        "sessions that one address may begin in an hour; past that it gets pages without cookie or row, as"
        " without consent. No address is stored: a keyed hash of the hour is counted in Django's cache."
        " `None` sets no bound",
        low=1,
    )
    NUM_PROXIES = Setting[int | None](
        None,
        int,
        "the shop's own proxies in front of Django: the client's address is the one that the first of them"
        " saw, in `X-Forwarded-For`; 0 ignores that header. `None` is REST framework's `NUM_PROXIES`; where"
        " neither is set, a client whose request was forwarded or whose address is private is unknown, and"
        " not limited by its address",
        low=0,
    )
    TRUSTED_ORIGINS = Setting[Sequence[str]](
        [],
        LIST,
        "other origins of the same shop whose pages may call the API, such as `https://www.example.com` where"
        " the API is on `api.example.com`, and what the shop's app sends as `Origin`, such as"
        " `shop-app://android`",
    )
    RETENTION_DAYS = Setting[int | None](
        90,
        (int, NoneType),
        "older days are dropped, whole partitions at a time; `None` keeps everything",
        low=1,
        high=MAX_DAYS,
    )
    QUARANTINE = Setting[Mapping[str, int | None]](
        {},
        dict,
        "the bounds from which a session's clicks are taken for a bot's, below: the session is excluded from"
        " training and reports until staff releases it",
    )

    ORDER_LINES_DAYS = Setting[int | None](
        730,
        (int, NoneType),
        "how long order lines, each with a hash of order id and product, wait for refunds; later refunds take"
        " nothing. The sums by day stay. `None` keeps the lines for good",
        low=1,
        high=MAX_DAYS,
    )
    COUNT_ALL_ORDERS = Setting[bool](
        False,
        bool,
        "also add orders of visitors without consent to the shop's total: day, amount, and a hash of the"
        " order's line, without session, product or visitor",
    )

    # Training
    ARTIFACTS = Setting[str | Path | None](
        None,
        (str, Path),
        "folder of the published models, by default `sessrec_artifacts` in `BASE_DIR`; shared by web and"
        " training machines, or with `ARTIFACTS_STORAGE` each machine's own; never below `MEDIA_ROOT`",
    )
    ARTIFACTS_STORAGE = Setting[str | None](
        None,
        str,
        "alias in Django's `STORAGES` through which machines without a common folder share models: the"
        " training worker publishes into it, and `sessrec_fetch` on each machine brings them into its"
        " `ARTIFACTS`",
        form=(".+", "not empty"),
    )
    CLICK_FILES = Setting[bool](
        False,
        bool,
        "whether the training machine keeps each day's clicks as files beside its models, so that a training"
        " run reads from Postgres only the days that have changed; for shops of some million clicks",
    )
    MODELS = Setting[Mapping[str, Mapping[str, Any]]](
        {"neighbours": {"ESTIMATOR": "django_sessrec.recsys.TunedNeighbours", "EVERY_HOURS": 1}},
        dict,
        "model name → its keys, below",
    )
    TRAIN_QUEUE = Setting[str](
        "train", str, "the Celery queue of training runs, for a worker of its own", form=(".+", "not empty")
    )
    TRAIN_NICENESS = Setting[int](
        19,
        int,
        "how far training runs of a worker or a command let other processes of the machine go first, as"
        " `nice` counts it; 19 takes only time that nobody wants, 0 leaves their priority as it is",
        low=0,
        high=19,
    )
    TRAINING_WINDOW_DAYS = Setting[int](
        90,
        int,
        "how far back a training run reads, but never closer to `RETENTION_DAYS` than a week, or two times"
        " `EVERY_HOURS` where that is longer, or a quarter of it where that is shorter: 83 days by default."
        " Models themselves give old clicks less weight",
        low=1,
        high=MAX_DAYS,
    )
    VALIDATION_FRACTION = Setting[float](
        0.07,
        NUMBER,
        "share of the newest sessions on which candidate and incumbent are compared; a shop with few sessions"
        " holds out 100, up to a fifth of them",
        above=0,
        high=0.5,
    )
    MIN_SESSIONS = Setting[int](
        100, int, "sessions of two clicks or more below which a training run is refused", low=1
    )
    GATE_TOLERANCE = Setting[float](
        0.02,
        NUMBER,
        "share of the incumbent's hit rate and reciprocal rank that a candidate may lose and still pass",
        low=0,
        high=1,
    )
    GATE_FIGURE = Setting[str](
        "both",
        str,
        "the figure by which a candidate passes: `hr`, how often the next click is in the list, for lists"
        " that are looked at as a whole; `mrr`, how near the top it is, for lists whose first items matter;"
        " or `both`",
        form=("both|hr|mrr", "'both', 'hr' or 'mrr'"),
    )
    EVENT_WEIGHTS = Setting[Mapping[str, float]](
        {},
        dict,
        "how much a click teaches, by the furthest thing that its session did with the product, below. A"
        " model's own stand over those of all models; a model that has learnt from baskets ignores them",
    )
    # A real day's most viewed product had 0.017 of its sessions, on two shops.
    MAX_ITEM_SHARE = Setting[float](
        0.05,
        NUMBER,
        "share of a day's sessions that may teach one item, which bounds what bots that imitate people can"
        " push. An item may always have ten sessions a day, or five times the mean item's. An item in more"
        " than 0.2 % of all sessions teaches besides only where another item of the session speaks for it."
        " `1` turns both off",
        above=0,
        high=1,
    )

    # Serving
    PLACEMENTS = Setting[Mapping[str, Mapping[str, Any]]](
        {"product_page": {}}, dict, "placement name → its keys, below"
    )
    MIN_REASON_SESSIONS = Setting[int](
        3,
        int,
        "past sessions, or baskets, that must hold both products before a reason speaks of other visits; a"
        ' reason with fewer says no more than "Because you viewed ..."',
        low=1,
    )

    # API and measuring
    THROTTLE_EVENTS = Setting[str](
        "120/min",
        str,
        "requests of one session to `events/` and `personalisation/`, counted together; of one address for"
        " visitors without the session's cookie. All sessions of an address together have 20 times the rate",
        form=RATE,
    )
    THROTTLE_RECOMMENDATIONS = Setting[str](
        "600/min",
        str,
        "the same for `recommendations/`, `slot/`, `categories/`, `my-data/`, `my-visit/` and `schema/`,"
        " counted together",
        form=RATE,
    )
    METRICS_TOKEN = Setting[str | None](
        None,
        str,
        "what Prometheus sends to read `metrics/`, as `Authorization: Bearer`; without it nobody may",
    )
    ALARMS = Setting[Mapping[str, Any]](
        {}, dict, "the thresholds from which a figure rings an alarm on Today, by mail and in metrics, below"
    )
    ATTRIBUTION_HOURS = Setting[float](
        24, NUMBER, "a purchase counts for a click on a recommendation at most this old", above=0
    )

    @property
    def given(self) -> Mapping[str, Any]:
        """What the shop wrote."""
        return given()

    @property
    def artifacts(self) -> Path:
        """Folder of published models."""
        if self.ARTIFACTS:
            return Path(self.ARTIFACTS)
        return Path(getattr(django_settings, "BASE_DIR", ".")) / "sessrec_artifacts"

    @property
    def click_files(self) -> Path:
        """Folder of the days' clicks that a training host keeps, where CLICK_FILES is set."""
        return self.artifacts / ".clicks"

    @property
    def num_proxies(self) -> int | None:
        """The shop's own proxies in front of Django; None where neither this nor REST framework says it."""
        if self.NUM_PROXIES is not None:
            return self.NUM_PROXIES
        frameworks: int | None = getattr(django_settings, "REST_FRAMEWORK", {}).get("NUM_PROXIES")
        return frameworks

    @property
    def quarantine(self) -> Mapping[str, int | None]:
        """The bounds of the rules that send a session into quarantine, over their defaults."""
        return {**QUARANTINE_DEFAULTS, **self.QUARANTINE}

    @property
    def alarms(self) -> Mapping[str, Any]:
        """The thresholds of the alarms, over their defaults."""
        return {**ALARM_DEFAULTS, **self.ALARMS}

    def model(self, name: str) -> Mapping[str, Any]:
        """One model over its defaults; an unknown name lists the known ones."""
        inherited = {key: getattr(self, key) for key in INHERITED}
        try:
            given = self.MODELS[name]
        except KeyError:
            known = ", ".join(sorted(self.MODELS)) or "none"
            raise ImproperlyConfigured(f"SESSREC['MODELS'] has no model {name!r}; known: {known}") from None
        weights = {**EVENT_WEIGHT_DEFAULTS, **self.EVENT_WEIGHTS, **given.get("EVENT_WEIGHTS", {})}
        return {**MODEL_DEFAULTS, **inherited, **given, "EVENT_WEIGHTS": weights}

    def placement(self, name: str) -> Mapping[str, Any]:
        """One placement over its defaults; an unknown name lists the known ones."""
        models = [model for model in PLACEMENT_DEFAULTS["MODELS"] if model in self.MODELS]
        given = self.PLACEMENTS.get(name) if isinstance(name, str) else None
        if given is None:
            known = ", ".join(sorted(self.PLACEMENTS)) or "none"
            # {% sessrec_recommendations product_page %} names a variable that is not there.
            remedy = "" if name and isinstance(name, str) else "; in a template, quote the placement's name"
            raise ImproperlyConfigured(
                f"SESSREC['PLACEMENTS'] has no placement {name!r}; known: {known}{remedy}"
            )
        return {**PLACEMENT_DEFAULTS, "MODELS": models, **given}

    def imported(self, name: str) -> Any:
        """The object that a dotted-path setting names, or None where it is not set."""
        path = getattr(self, name)
        return _import(path) if path else None


SETTINGS: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {name: each for name, each in vars(Settings).items() if isinstance(each, Setting)}
)
MODEL_SETTINGS: Final[Mapping[str, Setting[Any]]] = MappingProxyType(
    {**entries.MODEL, **{name: SETTINGS[name] for name in INHERITED}}
)


def _defaults(table: Mapping[str, Setting[Any]]) -> Mapping[str, Any]:
    return MappingProxyType({key: each.default for key, each in table.items() if not each.required})


QUARANTINE_DEFAULTS: Final = _defaults(entries.QUARANTINE)
ALARM_DEFAULTS: Final = _defaults(entries.ALARMS)
EVENT_WEIGHT_DEFAULTS: Final = _defaults(entries.EVENT_WEIGHTS)
MODEL_DEFAULTS: Final = _defaults(entries.MODEL)
PLACEMENT_DEFAULTS: Final = _defaults(entries.PLACEMENT)


@cache
def _import(path: str) -> Any:
    return import_string(path)


sessrec_settings = Settings()
