"""The SESSREC settings: one dict in the shop's settings, read live, over the defaults below."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        # The shop's side
        "CATALOGUE": None,  # dotted path of a Catalogue subclass: the one required key
        "TRACKED_VIEWS": {},  # {"shop:product_detail": "pk"}: view name -> URL argument that is the item id
        "CONSENT": None,  # request -> "none" | "session" | "opt-in" (beats Sec-GPC: 1); unset: contextual
        "IGNORE_REQUEST": None,  # dotted path of request -> bool: what else not to count (staff never is)
        # Capture
        "DATABASE": "default",
        "STREAM_URL": None,  # redis://.. or unix://..: rows go there first, and sessrec_consume stores them
        "STREAM_KEY_PREFIX": "sessrec",  # of all keys there: two shops on one server need two
        "STREAM_MAX_LENGTH": 200_000,  # messages; beyond it pages write to the database themselves
        "COOKIE_NAME": "sessrec",
        "COOKIE_DOMAIN": None,
        "SESSION_IDLE_MINUTES": 30,
        "VISITS_PER_CLIENT": 300,  # begun in an hour from one address, which a whole office may share
        "PROXIES": 0,  # of the shop's own before Django: their X-Forwarded-For is believed so far back
        "RETENTION_DAYS": 90,
        "PARTITIONS_AHEAD_DAYS": 7,
        "QUARANTINE": {},  # over QUARANTINE_DEFAULTS: from where on a visit is no person's
        # Training
        "ARTIFACTS": None,  # folder of published models; default: sessrec_artifacts in BASE_DIR
        "MODELS": {
            "neighbours": {"ESTIMATOR": "django_sessrec.recsys.tuning.TunedNeighbours", "EVERY_HOURS": 1}
        },
        "TRAINING_WINDOW_DAYS": 90,  # all that is kept; models weigh old clicks less themselves
        "VALIDATION_FRACTION": 0.07,
        "MAX_ITEM_SHARE": 0.05,  # of a day's sessions may teach one item; a real day's top has 0.017
        "MIN_SESSIONS": 100,  # of two clicks or more; below it a training is refused, not tried
        "GATE_TOLERANCE": 0.02,  # a candidate may lose this share of the incumbent's figures and still pass
        # Serving
        "PLACEMENTS": {"product_page": {}},
        "ACTIVE_CHECK_SECONDS": 30,
        "STATIC_ITEMS": [],  # item ids of the last step, shown when nothing else is known
        # API
        "THROTTLE_EVENTS": "120/min",
        "THROTTLE_RECOMMENDATIONS": "600/min",
        "METRICS_TOKEN": None,  # who may read metrics/: Authorization: Bearer ..; without one nobody
        # Measuring
        "ATTRIBUTION_HOURS": 24,  # a purchase counts for a click on a recommendation at most so old
    }
)

# Of 39,716 real visits with their times (Diginetica, a bookseller's sample) 12 make 15 clicks in a minute
# and none reaches another bound; of 226,386 with and without times two reach HAMMER's. None turns a rule off.
QUARANTINE_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "FLOOD": 30,  # clicks within a minute
        "SCRIPTLESS": 15,  # clicks within a minute, lists shown, and no word from the browser's script
        "EVEN_PACE": 20,  # clicks, and the time between them hardly varies
        "WALK": 100,  # different items, hardly one of them twice
        "HAMMER": 20,  # clicks on one item
        "ENDLESS": 12,  # hours without a pause as long as SESSION_IDLE_MINUTES
    }
)

MODEL_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "OPTIONS": {},  # the estimator's keyword arguments
        "EVERY_HOURS": 24,
        "REFRESH_HOURS": None,  # in between, trainings that start from the model in service
        "REFIT": True,  # fit once more with the days it was tested on; False: publish what was tested
    }
)

PLACEMENT_DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "MODELS": ["ranked", "neighbours"],  # tried in order; by default those of them that the shop has
        "LIMIT": 8,
        "TEMPLATE": "sessrec/recommendations.html",
        "TITLE": None,
        "PINNED": [],  # item ids always shown first, labelled as such
        "SPONSORED": [],  # item ids that somebody pays for: shown after the pinned ones, labelled as such
        "EXCLUDED": [],  # item ids never shown
        "HIDE_VIEWED": False,  # visitors do go back to what they saw; a basket's list may be too small for it
        "MAX_PER_CATEGORY": None,
        "EXPERIMENT": None,  # {"NAME": .., "VARIANTS": {"a": {"SHARE": 50, "MODELS": [..]}, ..}}
    }
)


class Settings:
    """Attribute access to SESSREC over DEFAULTS; never cached, so override_settings works."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"SESSREC has no setting {name!r}")

    @property
    def given(self) -> Mapping[str, Any]:
        """What the shop wrote."""
        return getattr(django_settings, "SESSREC", {})

    @property
    def artifacts(self) -> Path:
        """Folder of published models."""
        if self.ARTIFACTS:
            return Path(self.ARTIFACTS)
        return Path(getattr(django_settings, "BASE_DIR", ".")) / "sessrec_artifacts"

    @property
    def quarantine(self) -> Mapping[str, float | None]:
        """The bounds of the rules that send a visit into quarantine, over their defaults."""
        return {**QUARANTINE_DEFAULTS, **self.QUARANTINE}

    def model(self, name: str) -> Mapping[str, Any]:
        """One model over its defaults; an unknown name lists the known ones."""
        try:
            return {**MODEL_DEFAULTS, **self.MODELS[name]}
        except KeyError:
            known = ", ".join(sorted(self.MODELS)) or "none"
            raise ImproperlyConfigured(f"SESSREC['MODELS'] has no model {name!r}; known: {known}") from None

    def placement(self, name: str) -> Mapping[str, Any]:
        """One placement over its defaults; an unknown name lists the known ones."""
        models = [model for model in PLACEMENT_DEFAULTS["MODELS"] if model in self.MODELS]
        try:
            return {**PLACEMENT_DEFAULTS, "MODELS": models, **self.PLACEMENTS[name]}
        except KeyError:
            known = ", ".join(sorted(self.PLACEMENTS)) or "none"
            raise ImproperlyConfigured(
                f"SESSREC['PLACEMENTS'] has no placement {name!r}; known: {known}"
            ) from None

    def imported(self, name: str) -> Any:
        """The object that a dotted-path setting names, or None where it is not set."""
        path = getattr(self, name)
        return _import(path) if path else None


def _live(name: str) -> property:
    return property(lambda settings: settings.given.get(name, DEFAULTS[name]))


for _name in DEFAULTS:  # a page asks for some twenty: by __getattr__ each would cost it twice as much
    setattr(Settings, _name, _live(_name))


@cache
def _import(path: str) -> Any:
    return import_string(path)


sessrec_settings = Settings()
