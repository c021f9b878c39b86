"""Programs and people by their user agents."""

from pathlib import Path

import pytest

from django_sessrec.capture.user_agents import is_bot

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
BROWSERS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/138.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
    f"Mozilla/5.0 (Linux; Android 15; CUBOT X70) {WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 14; SM-S911B) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15",
    f"{IOS} (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    f"{IOS} Mobile/15E148 [FBAN/FBIOS]",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Opera/9.80 (Android; Opera Mini/80.0/191.313; U; en) Presto/2.12.423 Version/12.16",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
]


@pytest.mark.parametrize("agent", BROWSERS)
def test_a_browser_is_a_person(agent):
    assert not is_bot(agent)


@pytest.mark.parametrize("agent", Path(__file__).with_name("in_app_browsers.txt").read_text().splitlines())
def test_a_browser_inside_of_an_app_is_a_person(agent):
    assert not is_bot(agent)


@pytest.mark.parametrize("agent", ["WhatsApp/2.23.20.0 A", "Spinner/1.0 (mail@spinner.example)"])
def test_the_apps_own_fetchers_are_bots(agent):
    assert is_bot(agent)


@pytest.mark.parametrize("agent", ["", "   ", "curl/8.14.1", "python-requests/2.32", "HeadlessChrome/138"])
def test_nothing_and_tools_are_bots(agent):
    assert is_bot(agent)


def test_nearly_every_crawler_that_is_listed_is_found():
    lists = pytest.importorskip("crawleruseragents")
    agents = [agent for crawler in lists.CRAWLER_USER_AGENTS_DATA for agent in crawler["instances"]]
    assert sum(map(is_bot, agents)) / len(agents) > 0.9


def test_an_absurdly_long_agent_is_answered():
    assert not is_bot("Mozilla/5.0 " + "x" * 10_000_000)
