"""A list made from somebody's session never reaches another visitor through a cache.

Whatever else is true of the request: the privacy of a page does not depend on whether the page counts.
"""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from tests.demo.models import Product
from tests.privacy.cached_pages import OFFERING
from tests.support.visits import FIREFOX

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.privacy.cached_pages")]

CACHE = "django.middleware.cache."
SHAPES = {
    "plain": {},
    "prefetch": {"headers": {"sec-purpose": "prefetch"}},
    "prerender": {"headers": {"sec-purpose": "prefetch;prerender"}},
    "old prefetch": {"headers": {"x-moz": "prefetch"}},
    "bot": {"headers": {"user-agent": "Googlebot/2.1"}},
    "own header": {"headers": {"x-ignored": "1"}},
}
FETCHED_AHEAD = {"prefetch", "prerender", "old prefetch"}  # get a general list, which the script replaces
PAGES = {"site": "/demo/product/{}/", "view": "/kept/{}/"}


def ignored(request) -> bool:
    """The shop's own IGNORE_REQUEST."""
    return "x-ignored" in request.headers


@pytest.fixture(autouse=True)
def caching_shop(settings, products, trails, promote):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.SESSREC = settings.SESSREC | {
        "IGNORE_REQUEST": f"{__name__}.ignored",
        "PLACEMENTS": {"product_page": {"HIDE_VIEWED": False}},  # so that her list tells what she viewed
    }
    cache.clear()
    promote(trails)
    yield
    cache.clear()


@pytest.fixture(params=PAGES, autouse=True)
def address(request, settings, products) -> str:
    """A page that the shop's cache keeps: by its middleware, or by a view's decorator."""
    if request.param == "site":
        first, *others = settings.MIDDLEWARE
        last = others.pop()
        settings.MIDDLEWARE = [
            f"{CACHE}UpdateCacheMiddleware", first, *others, f"{CACHE}FetchFromCacheMiddleware", last,
        ]  # fmt: skip
    return PAGES[request.param].format(products[8].pk)


@pytest.fixture
def anna(address: str, visitor: Client, products: list[Product]) -> Client:
    """A visitor who agreed, and looked at three products."""
    for product in products[:6:2]:
        visitor.get(product.get_absolute_url())
    return visitor


@pytest.fixture
def asked(address: str) -> Callable[..., str]:
    """asked(client) is the page's text; what belongs to a session makes the test fail unless expected."""

    def ask(client: Client, **shape) -> str:
        page = client.get(address, **shape)
        text = page.content.decode()
        if "data-sessrec-rec" in text:
            assert "private" in page["Cache-Control"]
        return text

    return ask


def is_hers(text: str) -> bool:
    return "You viewed this" in text


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stranger_after_her_gets_a_page_of_his_own(anna, stranger, asked, shape):
    assert is_hers(asked(anna, **SHAPES[shape])) == (shape not in FETCHED_AHEAD)
    text = asked(stranger)
    assert not is_hers(text)
    assert "data-sessrec-rec" not in text
    assert text.count('class="sessrec__item"') == 8


def test_staff_are_no_exception(anna, stranger, asked):
    anna.force_login(User.objects.create_user("staff", is_staff=True))
    assert is_hers(asked(anna))
    assert not is_hers(asked(stranger))


def test_another_visitor_after_her_gets_none_of_hers(anna, asked):
    bert = Client(headers={"user-agent": FIREFOX})
    bert.cookies["consent"] = "yes"
    assert is_hers(asked(anna))
    assert not is_hers(asked(bert))
    assert is_hers(asked(anna))


def test_a_stranger_first_leaves_a_page_that_is_nobodys(anna, stranger, asked):
    first = asked(stranger)
    assert asked(stranger) == first, "the cache works"
    assert not is_hers(asked(anna)), "she gets what the cache has, which is nobody's"


def test_a_head_request_leaves_nothing_of_hers(anna, stranger, address, asked):
    assert "private" in anna.head(address)["Cache-Control"]
    assert not is_hers(asked(stranger))


def test_an_error_page_is_private_too(anna, products):
    page = anna.get(f"/gone/{products[8].pk}/")
    assert page.status_code == 410
    assert is_hers(page.content.decode())
    assert "private" in page["Cache-Control"]


def test_headers_that_invite_caches_are_taken_back(anna, stranger, products):
    address = f"/offered/{products[8].pk}/"
    page = anna.get(address)
    assert is_hers(page.content.decode())
    assert page["Cache-Control"] == "max-age=60, private"
    takes_back = {"X-Accel-Expires": "0", "X-LiteSpeed-Cache-Control": "no-cache"}
    for header in OFFERING:
        assert page[header] == takes_back.get(header, "no-store"), header
    page = stranger.get(address)
    assert "public" in page["Cache-Control"]
    assert {page[header] for header in OFFERING} == {"max-age=600"}


def test_a_list_made_after_the_headers_left_is_nobodys(anna, products):
    page = anna.get(f"/streamed/{products[8].pk}/")
    text = page.getvalue().decode()
    assert text.count('class="sessrec__item"') == 8
    assert not is_hers(text)
    assert "data-sessrec-rec" not in text
