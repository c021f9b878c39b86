"""Every system check of the package, in one list: its id, what is wrong, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004


@dataclass(frozen=True)
class Check:
    """One kind of finding; called with a message and a hint, it makes one.

    id: "sessrec.E001"; E is an error and W a warning, and no number is given twice
    wrong, remedy: its row in docs/reference/checks.md
    """

    id: str
    wrong: str
    remedy: str

    def __call__(self, message: str, hint: str) -> CheckMessage:
        kind = Error if self.id.startswith("sessrec.E") else Warning
        return kind(message, hint=hint, id=self.id)


NOT_A_DICT = Check("sessrec.E001", "`SESSREC` is not a dict", 'write `SESSREC = {"CATALOGUE": "..."}`')
UNKNOWN_KEY = Check(
    "sessrec.E002",
    "an unknown key, in `SESSREC`, `QUARANTINE`, `ALARMS`, a model, a placement, an experiment or a variant",
    "the nearest known key is named",
)
WRONG_TYPE = Check(
    "sessrec.E003", "a value of the wrong type", "the type is named, with the default as an example"
)
NO_CATALOGUE = Check("sessrec.E004", "`CATALOGUE` is missing", "subclass `ModelCatalogue` and name it")
WRONG_KIND = Check(
    "sessrec.E005",
    "a dotted path names the wrong kind of object, such as a coroutine function",
    "a `Catalogue` or `Recommender` subclass, or a function written with `def`",
)
NOT_IMPORTABLE = Check(
    "sessrec.E006",
    "a dotted path names nothing, or its module fails to import",
    "check the spelling, and that the module imports by itself",
)
NO_ESTIMATOR = Check("sessrec.E007", "a model without `ESTIMATOR`", "give the estimator's dotted path")
UNKNOWN_MODEL = Check(
    "sessrec.E008",
    "a placement or a variant uses a model that `MODELS` lacks",
    "the known models are listed",
)
INCOMPLETE_EXPERIMENT = Check(
    "sessrec.E009",
    "an experiment without a name, with fewer than two variants, a variant without `SHARE`, or shares whose"
    " sum is 0",
    "complete it",
)
UNKNOWN_DATABASE = Check("sessrec.E010", "`DATABASE` is not in `DATABASES`", "the known aliases are listed")
NOT_POSTGRES = Check(
    "sessrec.E011",
    "that database is not PostgreSQL",
    "name one that is; the shop's own may stay where it is. For tests on another product, silence this check:"
    " the app then stores nothing",
)
NO_MIDDLEWARE = Check("sessrec.E012", "the middleware is missing", "add it at the end of `MIDDLEWARE`")
UNKNOWN_VIEW = Check("sessrec.W013", "`TRACKED_VIEWS` names no known view", "the nearest view name is given")
NO_URLS = Check(
    "sessrec.W014",
    "the API's URLs are not included, or a route above them takes their addresses",
    "include `django_sessrec.urls` first: `urlpatterns = [path(...), *urlpatterns]`",
)
OUT_OF_RANGE = Check(
    "sessrec.E015",
    "a number out of its range, or a text not in its form, such as a throttle rate of `often`",
    "the range or the form is named, with the default as an example",
)
NO_TEMPLATE = Check(
    "sessrec.E016",
    "the `TEMPLATE` of a placement or a variant does not load: its lists would not be shown",
    "check its name and folder",
)
NO_CLIENT = Check(
    "sessrec.E017",
    "`STREAM_URL` or `METRICS_TOKEN` is set and its client is not installed",
    "install the extra `stream` or `metrics`",
)
NO_LABEL = Check(
    "sessrec.E018",
    "the template of `SPONSORED` items, with all it includes, does not show that an item is sponsored",
    "include `sessrec/reason.html`, or ask for `item.sponsored`",
)
INSECURE_SAMESITE = Check(
    "sessrec.E019",
    "`COOKIE_SAMESITE` is `None` and `COOKIE_SECURE` is `False`: browsers refuse such a cookie",
    "leave `COOKIE_SECURE` unset or set it to `True`",
)

NO_ROUTER = Check(
    "sessrec.W020",
    "`DATABASE` is a database of the events' own, and `migrate` would make other apps' tables there",
    'add `"django_sessrec.database.EventsRouter"` to the end of `DATABASE_ROUTERS`',
)
CATALOGUE_FIELD = Check(
    "sessrec.E021",
    "a `ModelCatalogue` names a model that does not exist, or a field that its model does not have",
    "the nearest field is named",
)
UNKNOWN_ARGUMENT = Check(
    "sessrec.W022",
    "`TRACKED_VIEWS` names a URL argument that no route of the view has: its clicks are not recorded",
    "the route's arguments are listed",
)
RELATIVE_ARTIFACTS = Check(
    "sessrec.W023",
    "the folder of models depends on the working directory: `ARTIFACTS` is relative, or neither it nor"
    " `BASE_DIR` is set",
    "set `ARTIFACTS` to an absolute path",
)
PUBLIC_ARTIFACTS = Check(
    "sessrec.E024",
    "the folder of models is below `MEDIA_ROOT` or `STATIC_ROOT`, which are served to everybody",
    "set `ARTIFACTS` to a folder outside both",
)
NO_TIME_ZONES = Check(
    "sessrec.E025",
    "`USE_TZ` is `False`: events, training runs and reports need aware times",
    "set `USE_TZ = True`, Django's default",
)
NOT_AN_ORIGIN = Check(
    "sessrec.E026",
    "an entry of `TRUSTED_ORIGINS` is no origin: no browser sends it, so nothing is trusted",
    "write scheme, host and port as the browser does: `https://www.example.com`, without a slash at the end,"
    " without `:443` or `:80`",
)
NO_ADDRESS = Check(
    "sessrec.E027",
    "the model of a `ModelCatalogue` has no `get_absolute_url`, and the class overrides neither `url` nor"
    " `describe`: no product can be shown",
    "write one of the three",
)
NO_REQUEST = Check(
    "sessrec.W028",
    "no engine in `TEMPLATES` has the request's context processor: the tags can't tell the session, and every"
    " list is contextual",
    'add `"django.template.context_processors.request"` to its `context_processors`',
)
UNKNOWN_STEP = Check(
    "sessrec.E035",
    "a placement or a variant names a step that does not exist: it brings no item",
    "the known steps are listed",
)
UNKNOWN_STORAGE = Check(
    "sessrec.E041",
    "`ARTIFACTS_STORAGE` is not in `STORAGES`, or its storage can't be made",
    "the known aliases are listed",
)
UNFIT_STORAGE = Check(
    "sessrec.E042",
    "`ARTIFACTS_STORAGE` is open to everybody (the storage of media or static files, a folder below"
    " `MEDIA_ROOT`, an ACL `public-...`), or is the folder `ARTIFACTS` itself",
    "give models a storage of their own, which no web server serves",
)
WRONG_QUEUE = Check(
    "sessrec.W043",
    "`CELERY_BEAT_SCHEDULE` sends training runs to another queue than `TRAIN_QUEUE`, as where `schedule()` is"
    " called before `SESSREC` has its last value",
    "call `schedule()` below the last line that changes `SESSREC`",
)
NOT_A_NAME = Check(
    "sessrec.E044",
    "a name in `MODELS` or `PLACEMENTS` that can't stand in an address or a file's name, such as `home/top`",
    "use letters, digits, `_`, `-` and `.`",
)
UNUSED_MODEL = Check(
    "sessrec.W045",
    "a model that no placement and no variant names, and whose name no step takes: it is trained, and no list"
    " asks it",
    "name it in the `MODELS` of a placement, or take it out. If only an experiment of the admin asks it,"
    " silence this check",
)
NO_ORDER = Check(
    "sessrec.W046",
    "the catalogue's newest products are those with the greatest keys, and the keys are no numbers that"
    " count up",
    "name a date as `created_field`, or override `newest`",
)
NO_LOG = Check(
    "sessrec.W047",
    "`LOGGING` disables the loggers that were there before it, the app's among them, as where the settings"
    " import `schedule`: nothing that goes wrong is logged",
    'set `"disable_existing_loggers": False` in `LOGGING`',
)
SNAPSHOTS = Check(
    "sessrec.W048",
    "`isolation_level` in `OPTIONS` of the events' database is stricter than `READ COMMITTED`: what is stored"
    " inside a transaction of the shop's own does not see that its session was withdrawn meanwhile",
    "leave `isolation_level` out there, or keep the events in a database of their own",
)

CHECKS: Final = tuple(each for each in list(vars().values()) if isinstance(each, Check))
