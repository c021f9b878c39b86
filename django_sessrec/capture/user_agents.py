"""Detection of bots by their user agent."""

from __future__ import annotations

import re
from functools import lru_cache

# What crawlers, monitors, previews, headless browsers and HTTP libraries put into their names, and no browser
# does, in the manner of isbot. CUBOT makes telephones; browsers inside of apps add their app's name, such as
# YandexSearch; an @ is in Apple's locales (en_IR@calendar=gregorian) and before Ecosia's version.
WORDS = re.compile(
    r"""
      (?<!cu)bots?(?:[^a-z]|$) | crawl | spider | slurp | scrap | archiv | fetch | grab | copi?er | index
    | monitor | uptime | nagios | synthetic | preview | favicon | validat | verif | scan | check | audit
    | headless | phantom | selenium | puppeteer | playwright | lighthouse | pagespeed | gtmetrix | ptst/
    | agent\b | client\b | feed | \brss | sitemap | webhook | facebook(?:external|catalog)
    | meta-external | mediapartners | google- | ^whatsapp/ | compatible;[ ](?!msie)
    | \b(?:curl|wget|python|java|jetty|jersey|ruby|perl|php|node|axios|okhttp|go-http|https?|httpie|lwp)\b
    | www\. | \.com\b | \.io\b | @[0-9-]*[a-z][a-z0-9-]*\.
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
