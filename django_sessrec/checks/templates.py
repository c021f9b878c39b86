"""Check that templates label sponsored products, as the law requires (UCPD, Annex I 11a)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.template import TemplateDoesNotExist
from django.template.base import Node, Template
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode


def labels_sponsored(name: str) -> bool:
    """Whether the template, or one that it includes or extends, asks for `sponsored`.

    TemplateDoesNotExist where there is none. A template of another engine than Django's is judged alone.
    """
    template = getattr(get_template(name), "template", None)  # the engine's own, which that wraps
    if not isinstance(template, Template):
        return "sponsored" in getattr(template, "source", "sponsored")
    return any("sponsored" in each.source for each in _with_parts(template, set()))


def _with_parts(template: Template, seen: set[str]) -> Iterator[Template]:
    yield template
    nodes = template.nodelist
    for node in (*nodes.get_nodes_by_type(IncludeNode), *nodes.get_nodes_by_type(ExtendsNode)):
        name = _constant(node)
        if name and name not in seen:
            seen.add(name)
            with suppress(TemplateDoesNotExist):  # rendering it says so
                yield from _with_parts(template.engine.get_template(name), seen)


def _constant(node: Node) -> str:
    """The name of the other template, where the tag gives it as a constant."""
    expression: Any = node.parent_name if isinstance(node, ExtendsNode) else getattr(node, "template", None)
    name = getattr(expression, "var", None)
    return name if isinstance(name, str) else ""
