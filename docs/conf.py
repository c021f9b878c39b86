"""Sphinx configuration: Markdown pages, reference from docstrings, nothing loaded from other hosts."""

import inspect
import re

import django
from django.conf import settings
from sphinx.application import Sphinx

import django_sessrec

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "rest_framework", "django_sessrec"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql"}},  # named, never connected to
    SESSREC={},
)
django.setup()

project = "django_sessrec"
author = "The django_sessrec contributors"
version = release = django_sessrec.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
nitpicky = False
exclude_patterns = ["bi"]  # projects of other programs
smartquotes_action = "D"  # dashes alone: curly quotes would end in code that stands in prose

# Pages
myst_heading_anchors = 3
default_role = "code"  # docstrings write `code` as Markdown does
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

# The public API, in the order of its source
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 80

# Site: Furo has no web fonts and its search needs no server
html_theme = "furo"
pygments_dark_style = "github-dark"  # the default underlines module names, as links are
html_title = f"django_sessrec {release}"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

TITLED = re.compile(r'^```(\w+) title="([^"]+)"$', re.MULTILINE)
ARRAY = re.compile(r"~?numpy\.ndarray\[.*?dtype\[~?numpy\.(\w+)\]\]")  # a NumPy type alias, spelt out
PATH = re.compile(r'(?<=<span class="pre">)django_sessrec\.[\w.]+')
LANGUAGES = {"html": "html+django"}  # the pages' HTML has template tags


def show_titles(_app: Sphinx, _page: str, content: list[str]) -> None:
    """Turn a code block's `title="file.py"`, which GitHub leaves out, into Sphinx's caption."""

    def captioned(block: re.Match[str]) -> str:
        language, title = block.groups()
        return f"```{{code-block}} {LANGUAGES.get(language, language)}\n:caption: {title}"

    text = TITLED.sub(captioned, content[0])
    content[0] = re.sub(r"^```html$", "```html+django", text, flags=re.MULTILINE)


def show_parameters(
    _app: Sphinx, what: str, _name: str, documented: object, _options: object, lines: list[str]
) -> None:
    """Turn a docstring's lines `name: meaning` of parameters and fields into Sphinx's fields."""
    match what:
        case "function" | "method":
            role, names = "param", set(inspect.signature(documented).parameters)
        case "class":
            role, names = "ivar", set(getattr(documented, "__annotations__", {}))
        case _:
            return
    shown: list[str] = []
    for line in lines:
        found = re.match(r"(\w+): +", line)
        is_field = found is not None and found[1] in names
        after_field = bool(shown) and shown[-1].startswith((f":{role} ", " "))
        if line and shown and shown[-1] and is_field != after_field and not line.startswith(" "):
            shown.append("")
        shown.append(f":{role} {found[1]}: {line[found.end() :]}" if is_field else line)
    lines[:] = shown


def shorten_arrays(
    _app: Sphinx, _what: str, _name: str, _documented: object, _options: object, given: str, returned: str
) -> tuple[str, str]:
    """Write NumPy arrays in signatures as `ndarray[float32]`."""
    return tuple(each and ARRAY.sub(r"ndarray[\1]", each) for each in (given, returned))


def let_paths_break(
    _app: Sphinx, _page: str, _template: str, context: dict[str, object], _doctree: object
) -> None:
    """Let a dotted path that is longer than a phone's line break after its dots; copied, it stays whole."""
    if body := context.get("body"):
        context["body"] = PATH.sub(lambda found: found[0].replace(".", ".<wbr>"), str(body))


def setup(app: Sphinx) -> None:
    """Register this project's changes to pages and docstrings."""
    app.connect("source-read", show_titles)
    app.connect("autodoc-process-docstring", show_parameters)
    app.connect("autodoc-process-signature", shorten_arrays)
    app.connect("html-page-context", let_paths_break)
