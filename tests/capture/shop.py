"""What this shop writes to be captured: a catalogue with one sensitive item, and consents of every kind."""

import asyncio
from time import sleep

from django.core.cache.backends.base import BaseCache

from django_sessrec.capture import cache_waits
from django_sessrec.catalogue import Catalogue
from django_sessrec.models import Heartbeat


class SmallCatalogue(Catalogue):
    def resolve(self, item_ids, request=None):
        return {}

    def sensitive(self, item_ids):
        return {"sensitive"} & set(item_ids)


class BrokenCatalogue(SmallCatalogue):
    def sensitive(self, item_ids):
        raise RuntimeError("the shop's own mistake")


def from_cookie(request):
    """The cookie `consent` holds the answer itself."""
    return request.COOKIES.get("consent", "none")


def misspelt(request):
    """Right for whoever says nothing, so that no trial without a cookie finds the mistake."""
    return "Session" if request.COOKIES.get("consent") == "yes" else "none"


def broken(request):
    raise RuntimeError("the shop's own mistake")


def from_the_database(request):
    """As of a shop that keeps its visitors' choices in a table; a heartbeat stands for a refusal."""
    return "none" if Heartbeat.objects.filter(name="refused").exists() else "session"


ASKED_IN_THE_LOOP = []


def from_the_cookie(request):
    """Which notes whether it was called on an event loop."""
    ASKED_IN_THE_LOOP.append(asyncio._get_running_loop() is not None)
    return request.COOKIES.get("consent")


def internal(request):
    return "internal" in request.GET


class LateCache(BaseCache):
    """A cache whose server answers late."""

    asked = 0

    def __init__(self, _location, parameters):
        super().__init__(parameters)

    def add(self, *args, **kwargs):
        self._answer_late()
        return True

    def get(self, _key, default=None, version=None):
        self._answer_late()
        return default

    def get_many(self, *args, **kwargs):
        self._answer_late()
        return {}

    def _answer_late(self):
        LateCache.asked += 1
        sleep(cache_waits.SLOW_SECONDS + 0.01)


class NoCache(BaseCache):
    """A cache whose server is gone."""

    def __init__(self, _location, parameters):
        super().__init__(parameters)

    def add(self, *args, **kwargs):
        raise ConnectionError("no cache")

    get = add
