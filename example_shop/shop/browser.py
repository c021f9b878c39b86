"""The least of a browser: pages, forms, cookies and links, of a server on this machine and of no other."""

from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Self
from urllib.parse import urlencode, urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
REDIRECTS_AT_MOST = 5
TIMEOUT = 60  # seconds: a busy machine is slow, and real browsers are patient


class StrangeHostError(ValueError):
    """The simulated visitors were sent to a machine that is not this one."""


@dataclass(frozen=True)
class Page:
    status: int
    html: str
    location: str | None = None  # where a redirect leads
    timing: str = ""  # as Server-Timing tells it

    def links(self, containing: str) -> list[str]:
        """The addresses on the page that contain this text, each once, in order."""
        return [link for link in dict.fromkeys(self._read().links) if containing in link]

    def hidden_fields(self) -> dict[str, str]:
        """What the page's forms send without being asked: the value of each hidden field by its name."""
        return self._read().hidden

    def _read(self) -> "_Reader":
        reader = _Reader()
        reader.feed(self.html)
        return reader


class Browser:
    """One visitor's browser. Follows redirects, by their path only: it can't be led off this machine."""

    def __init__(self, url: str, agent: str) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or address.hostname not in LOOPBACK:
            raise StrangeHostError(f"{url!r} is not on this machine: use http://127.0.0.1:8000")
        self._connection = HTTPConnection(address.hostname, address.port or 80, timeout=TIMEOUT)
        self._agent = agent
        self.cookies: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Page:
        return self._open("GET", path)

    def post(self, path: str, **fields: str) -> Page:
        return self._open("POST", path, urlencode(fields))

    def _open(self, method: str, path: str, body: str | None = None) -> Page:
        for _ in range(REDIRECTS_AT_MOST):
            page = self._ask(method, path, body)
            if page.location is None:
                return page
            target = urlsplit(page.location)
            method, body, path = "GET", None, f"{target.path}?{target.query}"
        raise OSError(f"{path} redirects more than {REDIRECTS_AT_MOST} times")

    def _ask(self, method: str, path: str, body: str | None = None) -> Page:
        """One request and its answer."""
        self._connection.request(method, path, body, self._headers(body))
        response = self._connection.getresponse()
        html = response.read().decode()
        self._keep_cookies(response.headers.get_all("Set-Cookie", []))
        headers = response.headers
        return Page(response.status, html, headers["Location"], headers.get("Server-Timing", ""))

    def _headers(self, body: str | None) -> dict[str, str]:
        headers = {"User-Agent": self._agent, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers

    def _keep_cookies(self, given: list[str]) -> None:
        for line in given:
            for name, cookie in SimpleCookie(line).items():
                if cookie["max-age"] == "0" or not cookie.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = cookie.coded_value


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "input" and given.get("type") == "hidden":
            self.hidden[given.get("name", "")] = given.get("value", "")
