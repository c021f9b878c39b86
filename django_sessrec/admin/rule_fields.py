"""Fields of a rule's form: products by name or id, values by name, several lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.safety import isolated, never_raises
from django_sessrec.serving.merchant_rules import ITEM

MAX_VALUES: Final = 500  # of one rule
NAMESAKES: Final = 6  # products of one name that a message lists
SUGGESTIONS: Final = 12
NOTHING: Final[Sequence[tuple[str, str]]] = ()
SAMPLED: Final = 20  # products whose attributes are offered
NAMES: Final = {
    ITEM: _("product"),
    "brand": _("brand"),
    "category": _("category"),
    "tags": _("tag"),
}


def attribute_name(attribute: str) -> str:
    """An attribute as people call it."""
    return str(NAMES.get(attribute, attribute))


def attributes_offered(catalogue: TextCatalogue) -> list[str]:
    """What the shop's products have, by a sample of them; brand and category at least."""
    found = {"brand": None, "category": None}
    with isolated("read the attributes of some products"):
        for item in catalogue.resolve(catalogue.fallback(SAMPLED)).values():
            found |= dict.fromkeys(catalogue.attributes(item).texts)
    return list(found)


class ProductField(forms.CharField):
    """A product by its name or id; the answer is its id. The name may carry the id: "Teapot [42]"."""

    def __init__(self, **kwargs: Any) -> None:
        hint = _("A part of its name, or its id.")
        super().__init__(max_length=300, **{"help_text": hint, **kwargs})
        self.widget.attrs |= {"data-sessrec-suggest": ITEM, "autocomplete": "off"}

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        return product_id(text, get_catalogue()) if text else ""


class LinesField(forms.CharField):
    """Several texts, one a line; the answer is a list without repetitions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip() for line in super().clean(value).splitlines()]
        values = list(dict.fromkeys(line for line in lines if line))
        if len(values) > MAX_VALUES:
            raise ValidationError(_("At most %(number)d lines."), params={"number": MAX_VALUES})
        return values


class EitherField(forms.TypedChoiceField):
    """A choice of two in words; the answer is True or False."""

    def __init__(self, *, yes: str | Promise, no: str | Promise, **kwargs: Any) -> None:
        choices = [("True", yes), ("", no)]
        super().__init__(choices=choices, coerce=bool, required=False, **kwargs)

    def clean(self, value: Any) -> bool:
        return bool(super().clean(value))


def product_id(text: str, catalogue: TextCatalogue) -> str:
    """The id of the product that the text names; ValidationError where it is none, or several."""
    text = text.strip()
    given = text[:-1].rpartition("[")[2].strip() if text.endswith("]") else text
    if catalogue.resolve([given]):
        return given
    found = catalogue.search(text, NAMESAKES)
    if len(found) == 1 or given in found:
        return given if given in found else found[0]
    if not found:
        raise ValidationError(_("No product is called “%(text)s”."), params={"text": text})
    offered = catalogue.resolve(found)
    exact = [item_id for item_id in offered if title(item_id, offered, catalogue).lower() == text.lower()]
    if len(exact) == 1:
        return exact[0]
    named = ", ".join(labelled(item_id, offered, catalogue) for item_id in found)
    raise ValidationError(
        _("Several products are called so. Copy one of these: %(products)s"), params={"products": named}
    )


def title(item_id: str, offered: Mapping[str, Any], catalogue: TextCatalogue) -> str:
    """The product's title, or its id where the catalogue does not offer it."""
    with isolated("describe a product for the admin", savepoints=False):
        if (item := offered.get(item_id)) is not None:
            return str(catalogue.describe(item)["title"])
    return item_id


def labelled(item_id: str, offered: Mapping[str, Any], catalogue: TextCatalogue) -> str:
    """The product's title with its id, as ProductField takes it."""
    return f"{title(item_id, offered, catalogue)} [{item_id}]"


def value_of(attribute: str, text: str, catalogue: TextCatalogue) -> str:
    """The value that a person wrote or named; what the catalogue does not know stays as it is written."""
    offered: list[tuple[str, str]] = []
    with isolated("search the values of an attribute"):
        offered = catalogue.attribute_values(attribute, text, NAMESAKES)
    for value, name in offered:
        if text == value or text.lower() == name.lower():
            return value
    return text


@never_raises("search the catalogue", default=NOTHING)
def suggestions(attribute: str, text: str) -> Sequence[tuple[str, str]]:
    """Products of this name, or values of an attribute, each with its label."""
    catalogue = get_catalogue()
    if attribute != ITEM:
        return catalogue.attribute_values(attribute, text, SUGGESTIONS)
    if not text:
        return NOTHING
    found = catalogue.search(text, SUGGESTIONS)
    offered = catalogue.resolve(found)
    return [(labelled(item_id, offered, catalogue), "") for item_id in found if item_id in offered]
