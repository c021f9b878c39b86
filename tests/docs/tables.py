"""The tables of the reference pages that are made from the code.

A page marks each with `<!-- settings from CATALOGUE -->`, `<!-- entries PLACEMENT -->`, `<!-- checks -->`,
`<!-- kpis COUNTED -->` or `<!-- views -->`, up to `<!-- end -->`; `python -m tests.docs.tables` writes what
is between, and a test holds the pages to it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import django
from django.utils import translation

from django_sessrec.checks.messages import CHECKS
from django_sessrec.conf import MODEL_SETTINGS, SETTINGS, entries
from django_sessrec.conf.setting import Setting
from django_sessrec.measuring import definitions

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    DOCS / "reference" / "settings.md",
    DOCS / "reference" / "checks.md",
    DOCS / "explanation" / "kpis.md",
    DOCS / "how-to" / "bi.md",
)
MARK = re.compile(r"(?<=<!-- )(\w+)(?: (?:from )?(\w+))?(?= -->\n)")
TABLE = re.compile(
    r"(<!-- (?:settings from \w+|entries \w+|checks|kpis \w+|views) -->\n).*?(<!-- end -->\n)", re.DOTALL
)


def written(text: str) -> str:
    """The page with its tables as they should be."""
    sections = re.findall(r"<!-- settings from (\w+) -->", text)
    return TABLE.sub(lambda found: f"{found[1]}\n{_table(found[1], sections)}\n{found[2]}", text)


def _table(mark: str, sections: list[str]) -> str:
    kind, name = MARK.search(mark).groups()
    match kind:
        case "settings":
            return _markdown(SETTING_HEADS, _rows(_section(name, sections)))
        case "entries":
            table = MODEL_SETTINGS if name == "MODEL" else getattr(entries, name)
            own = ("SHARE",) if name == "VARIANT" else table
            return _markdown(SETTING_HEADS, _rows({key: table[key] for key in own}))
        case "checks":
            rows = ((f"`{check.id}`", check.wrong, check.remedy) for check in CHECKS)
            return _markdown(("id", "what is wrong", "remedy"), rows)
        case "views":
            from django_sessrec.measuring.views import VIEWS  # needs Django's apps

            rows = (
                (f"`{view.name}`", view.words, ", ".join(f"`{column}`" for column in view.columns))
                for view in VIEWS
            )
            return _markdown(("view", "what it holds", "columns"), rows)
        case "kpis":
            rows = (
                (f"`{each.key}`", str(each.name), str(each.formula)) for each in getattr(definitions, name)
            )
            return _markdown(("key", "name", "how it is counted"), rows)
    raise ValueError(mark)


SETTING_HEADS = ("key", "default", "meaning")


def _section(first: str, sections: list[str]) -> Mapping[str, Setting[Any]]:
    """The settings from the first of a section up to the next section's."""
    keys = list(SETTINGS)
    starts = sorted([keys.index(each) for each in sections] + [len(keys)])
    start = keys.index(first)
    return {key: SETTINGS[key] for key in keys[start : starts[starts.index(start) + 1]]}


def _rows(table: Mapping[str, Setting[Any]]) -> Iterator[tuple[str, ...]]:
    for key, each in table.items():
        if each.required:
            default = "required"
        elif each is SETTINGS.get(key) and table is not SETTINGS and "ESTIMATOR" in table:
            default = f'`SESSREC["{key}"]`'
        else:
            default = f"`{each.default!r}`".replace("'", '"')
        bounds = f", {each.range_words}" if each.range_words else ""
        yield f"`{key}`", default, f"*{each.type_names}{bounds}*: {each.help}"


def _markdown(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    heads = tuple(heads)
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    with translation.override("en"):  # the names of figures are translated
        for page in PAGES:
            page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
