"""The documentation builds without a warning, works offline, and leads a newcomer where they want to go."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc="([^"]+)"|<link[^>]*\shref="([^"]+)"|url\(["']?([^"')]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder; a warning, such as a link that leads nowhere, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", DOCS, folder]
    build = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


def test_no_page_loads_anything_from_another_host(site):
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    loaded = {next(filter(None, hit)) for file in files for hit in LOADED.findall(file.read_text("utf-8"))}
    assert "_static/styles/furo.css" in {address.partition("?")[0] for address in loaded}
    assert not {address for address in loaded if re.match(r"(?:https?:)?//", address)}


def test_the_search_finds_a_setting_without_a_server(site):
    index = (site / "searchindex.js").read_text("utf-8")
    assert '"tracked_view' in index


def test_a_long_dotted_path_breaks_after_its_dots_only(site):
    page = (site / "reference" / "stability.html").read_text("utf-8")
    assert "django_sessrec.<wbr>recommendations.<wbr>get_recommendations</span>" in page


@pytest.mark.parametrize("page", ["reference/request", "reference/catalogue", "how-to/test-your-shop"])
def test_a_newcomer_finds_it_on_the_front_page(site, page):
    """The middleware, the catalogue, and how to test a shop's own pages, in one click."""
    front = (site / "index.html").read_text("utf-8")
    article = front.partition("<article")[2].partition("</article>")[0]
    assert f'href="{page}.html"' in article
