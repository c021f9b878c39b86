"""Whether a user agent is a program that nobody sits at."""

from __future__ import annotations

import re
from functools import lru_cache

# What crawlers, monitors, previews, headless browsers and HTTP libraries put into their names, and no browser
# does, in the manner of isbot.
WORDS = re.compile(
    r"""
      bot\b | bot[^a-z] | crawl | spider | slurp | scrap | archiv | fetch | monitor | preview | validat
    | headless | phantom | selenium | puppeteer | playwright | lighthouse | pagespeed | gtmetrix
    | \b(?:curl|wget|python|java|ruby|perl|php|go-http-client|okhttp|axios|node|httpx?|libwww)[/-]
    | http[s]?:// | @
    """,
    re.IGNORECASE | re.VERBOSE,
)
LONGEST = 512  # characters that are looked at, so that a flood of absurd agents stays cheap


def is_bot(user_agent: str) -> bool:
    """The verdict on a User-Agent header; an empty one is a bot's."""
    return _is_bot(user_agent[:LONGEST])


@lru_cache(maxsize=4096)
def _is_bot(user_agent: str) -> bool:
    return not user_agent.strip() or WORDS.search(user_agent) is not None
