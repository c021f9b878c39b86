"""Whether a template says of a sponsored product that it is one, as law asks (UCPD, Annex I 11a)."""

from __future__ import annotations

from collections.abc import Iterator

from django.template import TemplateDoesNotExist
from django.template.base import Node, Template
from django.template.loader import get_template
from django.template.loader_tags import ExtendsNode, IncludeNode


def labels_sponsored(name: str) -> bool:
    """Whether the template, or one that it includes or extends, asks for `sponsored`.

    TemplateDoesNotExist where there is none. A template of another engine than Django's is judged alone.
    """
    template = get_template(name).template
    if not isinstance(template, Template):
        return "sponsored" in getattr(template, "source", "sponsored")
    return any("sponsored" in each.source for each in _with_parts(template, set()))


def _with_parts(template: Template, seen: set[str]) -> Iterator[Template]:
    yield template
    for node in template.nodelist.get_nodes_by_type((IncludeNode, ExtendsNode)):
        name = _constant(node)
        if name and name not in seen:
            seen.add(name)
            try:
                yield from _with_parts(get_template(name).template, seen)
            except TemplateDoesNotExist:
                continue  # rendering it says so


def _constant(node: Node) -> str:
    """The name of the other template, where the tag says it outright."""
    expression = node.parent_name if isinstance(node, ExtendsNode) else node.template
    return expression.var if isinstance(expression.var, str) else ""
