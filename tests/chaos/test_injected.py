"""A fault in any function of the package: the shop's pages are 200 and the same but for the slots."""

import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import CodeType
from typing import NamedTuple

import pytest
from asgiref.sync import async_to_sync
from celery import Celery, current_app
from django.db import connection
from django.test import AsyncClient, Client
from django.utils import timezone

from django_sessrec.capture import cookie, rec_id
from django_sessrec.capture.partitions import ensure_ahead
from django_sessrec.ids import time_of, uuid7
from django_sessrec.models import Promotion, RuleSet, TrainingRun
from django_sessrec.recsys import artifact
from django_sessrec.recsys.intents import Intents
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.testing import reset
from tests.chaos.injection import caches, functions, injected, met, rooms
from tests.demo.models import Product
from tests.support.models import fitted, log_of_trails
from tests.support.visits import FIREFOX

# No shop's page goes through these: they are the worker's, the operator's, the tests', or the API's own.
OTHER_DOORS = {
    *(
        "admin",
        "api",
        "apps",
        "checks",
        "management",
        "migrations",
        "neural",
        "operations",
        "tasks",
        "testing",
    ),
    *("training", "urls"),
}
ON_A_PAGES_WAY = (
    *("middleware", "templatetags.sessrec."),
    *("capture.tracker", "capture.consent", "capture.cookie", "capture.rec_id", "capture.request_filters"),
    *("capture.awaited", "capture.browser_views", "capture.followed_link"),
    *("serving.visit", "serving.placements", "serving.experiments", "serving.fallback", "serving.choose"),
    *("serving.model_candidates", "serving.categories", "serving.rules", "serving.recommendations"),
    *("serving.links", "serving.active_models", "serving.intent_places", "serving.titles"),
)
HELD_BY_NOTHING = {
    "middleware.SessrecMiddleware.__init__": "runs when the server starts",
    "middleware.SessrecMiddleware.__call__": "passes the page on, and calls what is never_raises",
    "middleware.SessrecMiddleware.__acall__": "the same",
    "middleware._to_its_end": "a part of it",
    "capture.tracker.Tracker.__init__": "sets attributes",
    "capture.awaited.in_a_thread": "runs when the package is imported",
    "safety.isolated": "holds the others",
    "safety.never_raises": "the same, when the package is imported",
    "safety.log": "the same",
    "safety.is_unmigrated": "the same, as a part of log",
    "safety._Isolated.__exit__": "the same: where it fails, what it has entered stays open",
}
NOT_MET = {
    "middleware._finish_unseen": "called where a visitor leaves before the answer",
    "capture.tracker.Tracker.finish_unseen": "the same",
    "capture.tracker.Tracker._write_late": "the same",
    "capture.tracker.Tracker._count_orders": "called where no session may keep an order",
    "capture.tracker.Tracker.asession_id": "called by async views",
    "capture.consent.gpc_prevails": "asked where the visitor has switched suggestions off",
    "capture.cookie._off_name": "the API's",
    "capture.cookie.switch_off": "the API's",
    "capture.cookie.switch_on": "the API's",
    "capture.cookie.withheld": "a page of another site posts",
    "capture.tracker.Tracker.end": "called where a session was erased elsewhere",
    "capture.tracker.Tracker.take_back": "called where a list's template fails",
    "capture.tracker.Tracker.touch": "the API's",
    "capture.tracker.Tracker.view": "called by views that are not tracked",
    "serving.choose.Choice.items": "the admin's: a page needs no traces",
    "serving.choose.Choice.traces": "the same",
    "serving.recommendations.RecommendedItem.trace": "the same",
    "serving.visit.stored_visit": "the admin's",
    "serving.visit._by_client": "asked where a client of the API keeps what was viewed",
    "serving.active_models._Unopened.may_try_again": "asked where a model did not open",
    "serving.choose._interleaved": "asked where an experiment interleaves two lists",
    "serving.experiments._ended": "asked where the admin has experiments",
    "serving.experiments.expire": "the admin's",
    "serving.fallback._by_content": "asked where STEPS names the step content",
    "serving.fallback.hears_models": "the admin's",
    "serving.model_candidates.ModelCandidates._unexplained": "asked where no product is a variant of another",
    "serving.recommendations.RecommendedItem.pinned": "asked by a template of the shop's own",
    "serving.recommendations.RecommendedItem.reason_text": "the same",
    "serving.recommendations._propensities": "asked where a placement explores",
    "serving.rules.RuleContext.kept": "asked where a placement moves what it has shown before",
}
GONE = 12  # a product that the model learnt and the shop no longer has
SLOT = re.compile("<!-- slot -->.*?<!-- /slot -->", re.DOTALL)
REFUSED = "refused"  # ends the address of the step before which the visitor says no
TABLES = ("sessrec_event", "sessrec_impression", "sessrec_promotion", "sessrec_trainingrun")
PARTITIONED = ("sessrec_event", "sessrec_impression")
CHILDREN = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent ="


@contextmanager
def tables_gone() -> Iterator[None]:
    """As before migrate."""
    try:
        for table in TABLES:
            _execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        yield
    finally:
        for table in TABLES:
            _execute(f"ALTER TABLE {table}_away RENAME TO {table}")


@contextmanager
def partitions_gone() -> Iterator[None]:
    """As after days without upkeep."""
    for table in PARTITIONED:
        for (name,) in _execute(
            f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass"
        ):
            _execute(f"DROP TABLE {name}")
    yield
    ensure_ahead()


WORLDS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "all is well": nullcontext,
    "tables are missing": tables_gone,
    "partitions are missing": partitions_gone,
}


def _execute(sql: str) -> list[tuple[str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


class Step(NamedTuple):
    """One page of a walk, by sync or by async views."""

    kind: str
    number: int


Page = tuple[int, str]  # its status, and what stands outside the slots


class Walk:
    """A visitor's way through the shop's pages, by sync or by async views."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        session_id = uuid7()
        self.cookie = cookie.text_of(session_id)
        link = rec_id.sign(uuid7(time_of(session_id)), session_id)
        self.steps = [
            ("get", "product/10/"),
            ("get", "shelf/8/"),
            ("get", f"product/9/?sessrec={link}.1"),
            ("prefetch", "product/7/"),
            ("get", "cached/8/"),
            ("get", "about/"),
            ("post", "basket/8/"),
            ("post", "order/8/"),
            ("get", f"product/10/?{REFUSED}"),
            ("get", f"shelf/10/?{REFUSED}"),
            ("post", f"order/9/?{REFUSED}"),
            ("post", "decline/"),
        ]

    def pages(self, wanted: Container[Step] | None) -> Iterator[tuple[Step, Page]]:
        """What is answered at each of the wanted steps, at every one where none are named."""
        browser = (AsyncClient if self.kind == "async" else Client)(headers={"user-agent": FIREFOX})
        browser.cookies["consent"] = "yes"
        browser.cookies["sessrec"] = self.cookie
        browser.cookies["sessionid"] = "ended"  # of a visitor who was signed in
        for number, (method, address) in enumerate(self.steps):
            step = Step(self.kind, number)
            if wanted is not None and step not in wanted:
                continue
            if address.endswith(REFUSED):
                browser.cookies["consent"] = "no"
            ahead = {"sec-purpose": "prefetch"} if method == "prefetch" else {}
            ask = partial(getattr(browser, "get" if ahead else method), headers=ahead)
            page = (async_to_sync(ask) if self.kind == "async" else ask)(f"/{self.kind}/{address}")
            yield step, (page.status_code, SLOT.sub("", page.content.decode()))


def merchants_rules() -> None:
    """A live rule of each kind for product pages."""
    live = RuleSet.objects.create(placement="product_page", published_at=timezone.now())
    kind = {"attribute": "category", "values": ["kind 1"]}
    for name, given in (
        ("hide", {"attribute": "item", "values": ["29"]}),
        ("related", {"attribute": "category", "same": True}),
        ("price", {"relative": True, "low": 0.1}),
        ("stock", {"pieces": 2, "last": True}),
        ("boost", {**kind, "places": 2}),
        ("beside", {**kind, "other": {"attribute": "category", "values": ["kind 2"]}}),
        ("cap", {"attribute": "category", "most": 1, "window": 3}),
        ("pin", {"item": "28", "position": 3, "on_screen": {"attribute": "category", "values": ["kind 2"]}}),
        ("sponsored", {"item": "27", "position": 4}),
    ):
        live.rules.create(kind=name, parameters=given)
    live.rules.create(kind="pin", parameters={"item": "26", "position": 1}, group="trade")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    """A folder with one model, fitted on walks through every other product."""
    folder = tmp_path_factory.mktemp("artifacts")
    trails = [[str(n) for n in range(first, first + 12, 2)] for first in range(1, 19)] * 4
    model, log = fitted(trails, Neighbours()), log_of_trails(trails)
    alike = Intents.of(log).reindexed(log.index, model.index)
    artifact.save(model, folder / "published", card={}, intents=alike)
    return folder


@pytest.fixture
def shop(transactional_db, settings, artifacts) -> Iterator[None]:
    """Thirty products, a model in service, and no broker."""
    settings.ROOT_URLCONF = "tests.chaos.pages"
    settings.SESSREC = {
        "CATALOGUE": "tests.chaos.rules.WithVariants",
        "CUSTOMER_GROUP": "tests.chaos.rules.group",
        "CONSENT": "tests.demo.recommendations.consent",
        "COUNT_ALL_ORDERS": True,
        "TRACKED_VIEWS": dict.fromkeys(
            (f"{kind}_{page}" for kind in ("sync", "async") for page in ("product", "shelf", "cached")), "pk"
        ),
        "ARTIFACTS": artifacts,
        "PLACEMENTS": {
            "product_page": {
                "MAX_PER_CATEGORY": 6,
                "PINNED": ["5"],
                "SPONSORED": ["6"],
                "TEMPLATE": "sessrec/recommendations.html",
                "RULES": ["tests.chaos.rules.something_new_at_the_end"],
                "EXPERIMENT": {"NAME": "e", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}},
            },
            "rows": {"INTENTS": "rows"},
            "seen": {"STEPS": ["recently_viewed"]},
            "basket": {"STEPS": ["bought_together", "model"]},
            "everywhere": {"STEPS": ["search", "trending", "watched", "best_sellers", "new", "category"]},
        },
    }
    Product.objects.bulk_create(
        Product(pk=n, name=f"tea {n}", category=f"kind {n % 3}", family="round" if n in (20, 22) else "")
        for n in range(1, 31)
        if n != GONE
    )
    merchants_rules()
    run = TrainingRun.objects.create(
        model="neighbours", trigger="test", state="published", artifact="published"
    )
    Promotion.objects.create(model="neighbours", run=run, promoted_by="test")
    before = current_app._get_current_object()
    with Celery("shop", broker=f"redis+socket://{artifacts}/nobody.sock") as celery:
        celery.set_current()
        yield
    before.set_current()


def as_after_a_start() -> None:
    """Forget all that a web process remembers."""
    reset()
    for clear in caches():
        clear()


@pytest.fixture
def walk(shop) -> Callable[..., Iterator[tuple[Step, Page]]]:
    """walk(fault, steps) leads visitors through new web processes with a fault: each step and its answer."""

    def lead(
        fault: Callable[[], AbstractContextManager] = nullcontext, steps: Container[Step] | None = None
    ) -> Iterator[tuple[Step, Page]]:
        for each in (Walk("sync"), Walk("async")):  # a new visitor each time: the walk's last step withdraws
            as_after_a_start()
            with fault():
                yield from each.pages(steps)

    return lead


@pytest.fixture
def healthy(walk) -> dict[Step, Page]:
    """The pages as they should be."""
    if not _healthy:
        _healthy.update(walk())
    assert {status for status, _ in _healthy.values()} == {200}
    return _healthy


_healthy: dict[Step, Page] = {}
_met_in: dict[str, dict[Step, set[CodeType]]] = {}


@pytest.fixture
def met_in(walk, healthy) -> dict[str, dict[Step, set[CodeType]]]:
    """What each page runs through in each world, where the pages are the same, too."""
    for world, begin in WORLDS.items():
        if world not in _met_in:
            _met_in[world] = {}
            with begin(), met() as found:
                for step, page in walk():
                    assert page == healthy[step]
                    _met_in[world][step] = {*found}
                    found.clear()
    return _met_in


def tried_at(met: Iterable[Step]) -> set[Step]:
    """Of the steps that meet a function the first two and the last, and the first by the other views."""
    steps = sorted(met, key=lambda step: (step.kind == "async", step.number))
    by_the_first = [step for step in steps if step.kind == steps[0].kind]
    return {*by_the_first[:2], by_the_first[-1], *steps[len(by_the_first) :][:1]}


ALL = functions(*(room for room in rooms() if room not in OTHER_DOORS))


def test_the_lists_above_name_what_exists():
    names = {each.name for each in ALL}
    assert HELD_BY_NOTHING.keys() | NOT_MET.keys() <= names
    assert set(rooms()) >= OTHER_DOORS
    assert [room for room in ON_A_PAGES_WAY if not any(name.startswith(room) for name in names)] == []


def test_a_fault_in_any_function_stops_at_the_slot(walk, healthy, met_in):
    """One test, since only the walk tells which functions a page runs through."""
    broken = {}
    tried = set(HELD_BY_NOTHING)
    for world, by_step in met_in.items():
        with WORLDS[world]():
            for function in ALL:
                met_at = [step for step, codes in by_step.items() if function.code in codes]
                if not met_at or function.name in tried:
                    continue
                tried.add(function.name)
                steps = tried_at(met_at)
                try:
                    answered = dict(walk(partial(injected, function), steps))
                except Exception as error:
                    broken[function.name] = repr(error)
                else:
                    if answered != {step: healthy[step] for step in steps}:
                        broken[function.name] = answered
    assert broken == {}


def test_the_walk_meets_all_that_is_on_a_pages_way(met_in):
    codes = {code for by_step in met_in.values() for met in by_step.values() for code in met}
    unmet = {each.name for each in ALL if each.name.startswith(ON_A_PAGES_WAY) and each.code not in codes}
    assert unmet - HELD_BY_NOTHING.keys() == NOT_MET.keys(), "lead the walk there, or say here why not"
