"""Checks of dotted paths: what may be imported is, and what may bring torch is read as text."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage
from django.utils.module_loading import import_string

from django_sessrec.checks import messages


def imported(where: str, path: str) -> tuple[Any, list[CheckMessage]]:
    try:
        return import_string(path), []
    except Exception as problem:  # the module is the shop's: it may raise anything
        hint = "Check the spelling, and that the module imports by itself."
        return None, [messages.NOT_IMPORTABLE(f"{where} = {path!r} can't be imported: {problem}", hint)]


def unimported(what: str, path: str) -> Iterator[CheckMessage]:
    """A dotted path that is not imported here: an estimator or a model of texts may import torch."""
    try:
        if not _leads_somewhere(path):
            yield messages.NOT_IMPORTABLE(f"{what} names nothing.", "Check the spelling of module and class.")
    except (SyntaxError, ValueError, OSError) as problem:
        yield messages.NOT_IMPORTABLE(
            f"{what} can't be read: {problem}", "Check that the module imports by itself."
        )


def _leads_somewhere(path: str) -> bool:
    """Whether a dotted path names something. Raises what ast.parse does, and OSError."""
    *modules, name = path.split(".")
    spec, folders = None, None
    for depth in range(len(modules)):
        spec = _spec(".".join(modules[: depth + 1]), folders)
        if spec is None:
            return False
        folders = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return spec is not None
    return name in _names(ast.parse(Path(spec.origin).read_bytes()))


def _spec(name: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    """The module's spec by any finder of this process, as that of an editable install; nothing is imported.

    importlib's own find_spec() would import the packages above it.
    """
    for finder in sys.meta_path:
        if spec := finder.find_spec(name, folders):
            return spec
    return None


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name that a module binds or mentions; strings too, for a lazy __getattr__."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Name(id=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name
            case ast.Constant(value=str(text)):
                yield text
