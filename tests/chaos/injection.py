"""Every function of the package, and a fault put into one of them."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from inspect import isclass, unwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import django_sessrec

PACKAGE = Path(django_sessrec.__file__).parent


@dataclass(frozen=True)
class Function:
    """A function as it was written: under its decorators, in its class."""

    name: str
    code: CodeType
    written: FunctionType

    def __str__(self) -> str:
        return self.name


def failing(*_args: object, **_kwargs: object) -> None:
    raise RuntimeError("injected")


@contextmanager
def injected(function: Function) -> Iterator[None]:
    """Have the function fail, whoever holds a reference to it."""
    # As many free variables as the function that it replaces.
    function.written.__code__ = failing.__code__.replace(co_freevars=function.code.co_freevars)
    try:
        yield
    finally:
        function.written.__code__ = function.code


@contextmanager
def met() -> Iterator[set[CodeType]]:
    """What is called of the package meanwhile, in this thread and in those that begin."""
    found: set[CodeType] = set()

    def note(frame: Any, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            found.add(frame.f_code)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def rooms() -> list[str]:
    """The package's modules and packages."""
    folders = [path.parent for path in PACKAGE.glob("*/__init__.py")]
    return sorted(path.stem for path in (*PACKAGE.glob("*.py"), *folders) if path.stem != "__init__")


def functions(*rooms: str) -> list[Function]:
    """The functions and methods of these modules and packages, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in rooms or parts[-1] == "__init__":
            continue
        module = importlib.import_module(".".join(("django_sessrec", *parts)))
        for name, member in _members(module, module):
            written = _written(member)
            if written is not None and written.__code__.co_filename == str(path):
                qualified = ".".join((*parts, name))
                found.setdefault(written.__code__, Function(qualified, written.__code__, written))
    return list(found.values())


@cache
def caches() -> list[Callable[[], None]]:
    """What empties the package's functools caches."""
    modules = [module for name, module in sys.modules.items() if name.startswith("django_sessrec")]
    return [
        member.cache_clear
        for module in modules
        for _, member in _members(module, module)
        if hasattr(member, "cache_clear")
    ]


def _members(owner: ModuleType | type, module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, member in vars(owner).items():
        if isclass(member) and member.__module__ == module.__name__:
            for inner, each in _members(member, module):
                yield f"{name}.{inner}", each
        else:
            yield name, member


def _written(member: object) -> FunctionType | None:
    """The function under properties, class methods, caches and whatever else wraps it."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    elif isinstance(member, staticmethod | classmethod):
        member = member.__func__
    if not callable(member):
        return None
    member = unwrap(member)
    return member if isinstance(member, FunctionType) else None
