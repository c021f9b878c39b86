"""Fields of a rule's form: products by name or id, values by name, several lines."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from django_sessrec.capture.event import MAX_ITEM_ID
from django_sessrec.capture.fast_query import within
from django_sessrec.catalogue import TextCatalogue, get_catalogue
from django_sessrec.safety import isolated, never_raises
from django_sessrec.serving.merchant_rules import ITEM

MAX_VALUES: Final = 500  # of one rule
LONGEST_TITLE: Final = 200  # characters of a product's
LONGEST_LINE: Final = LONGEST_TITLE + MAX_ITEM_ID + 3  # a title with an id in brackets
NAMESAKES: Final = 6  # products of one name that a message lists
SUGGESTIONS: Final = 12
NOTHING: Final[Sequence[tuple[str, str]]] = ()
VALUES_SECONDS: Final = 1.0  # that a page asks for the names of values
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
        super().__init__(max_length=LONGEST_LINE, **{"help_text": hint, **kwargs})
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
        for number, line in enumerate(lines, 1):
            if len(line) > LONGEST_LINE:
                words = {"line": number, "number": LONGEST_LINE}
                raise ValidationError(_("Line %(line)d has more than %(number)d characters."), params=words)
        return values


class EitherField(forms.TypedChoiceField):
    """A choice of two in words; the answer is True or False."""

    def __init__(self, *, yes: str | Promise, no: str | Promise, **kwargs: Any) -> None:
        choices = [("True", yes), ("", no)]
        super().__init__(choices=choices, coerce=bool, required=False, **kwargs)

    def clean(self, value: Any) -> bool:
        return bool(super().clean(value))


def product_id(text: str, catalogue: TextCatalogue) -> str:
    """The id of the product that the text names; ValidationError where it is none, or several.

    One that is sold out now is a product all the same: it may be pinned for the day on which it is back.
    """
    refused = ValidationError(_("The shop's catalogue failed. The shop's log says why."))
    with isolated("look up a product for the admin"):
        try:
            return _product_id(text.strip(), catalogue)
        except ValidationError as problem:
            refused = problem
    raise refused


def _product_id(text: str, catalogue: TextCatalogue) -> str:
    given = _in_brackets(text) or text
    if catalogue.known([given]):
        return given
    found = catalogue.search(text, NAMESAKES)
    if len(found) == 1 or given in found:
        return given if given in found else found[0]
    if not found:
        raise ValidationError(_("No product is called “%(text)s”."), params={"text": text})
    known = catalogue.known(found)
    exact = [item_id for item_id in known if title(item_id, known, catalogue).lower() == text.lower()]
    if len(exact) == 1:
        return exact[0]
    named = ", ".join(labelled(item_id, known, catalogue) for item_id in found)
    raise ValidationError(
        _("Several products are called so. Copy one of these: %(products)s"), params={"products": named}
    )


def _in_brackets(text: str) -> str:
    """The id or value at the end of a label; empty where it has none."""
    return text[:-1].rpartition("[")[2].strip() if text.endswith("]") else ""


def known_products(item_ids: Collection[str], catalogue: TextCatalogue) -> dict[str, Any]:
    """Those of the products that the catalogue knows, by id; nothing where it fails."""
    with isolated("look up products for the admin"):
        return catalogue.known(item_ids)
    return {}


def title(item_id: str, products: Mapping[str, Any], catalogue: TextCatalogue) -> str:
    """The product's title, or its id where it is not among these."""
    with isolated("describe a product for the admin", savepoints=False):
        if (item := products.get(item_id)) is not None:
            return str(catalogue.describe(item)["title"])
    return item_id


def labelled(item_id: str, products: Mapping[str, Any], catalogue: TextCatalogue) -> str:
    """The product's title with its id, in one line as ProductField takes it."""
    named = " ".join(title(item_id, products, catalogue).split())
    return f"{Truncator(named).chars(LONGEST_TITLE)} [{item_id}]"


def value_names(
    attribute: str, values: Collection[str], catalogue: TextCatalogue, seconds: float = VALUES_SECONDS
) -> dict[str, str | None]:
    """Value -> its name, or None where no product has it; of the values that are known within the time.

    A merchant's page does not wait for a name, nor for a warning, longer than that.
    """
    names: dict[str, str | None] = {}
    until = time.monotonic() + seconds
    with isolated("name the values of an attribute"), within(seconds):
        for value, name in catalogue.named_values(attribute, values):
            names[value] = name
            if time.monotonic() >= until:
                break
    return names


def values_of(attribute: str, texts: Sequence[str], catalogue: TextCatalogue) -> list[str]:
    """The values that a person wrote or named; what the catalogue does not know stays as it is written."""
    given = dict.fromkeys(filter(None, (each for text in texts for each in (text, _in_brackets(text)))))
    names = value_names(attribute, given, catalogue)
    return [_value_of(attribute, text, names, catalogue) for text in texts]


def _value_of(attribute: str, text: str, names: Mapping[str, str | None], catalogue: TextCatalogue) -> str:
    for given in filter(None, (text, _in_brackets(text))):
        if names.get(given) is not None:
            return given
        for value, name in _values(attribute, given, catalogue):
            if given == value or text.casefold() == name.casefold():
                return value
    return text


def labels_of(attribute: str, values: Collection[str], catalogue: TextCatalogue) -> list[str]:
    """Stored values as a person reads them, and values_of() takes them."""
    names = value_names(attribute, values, catalogue)
    return [_named(value, names.get(value) or value) for value in values]


def _values(attribute: str, text: str, catalogue: TextCatalogue) -> list[tuple[str, str]]:
    with isolated("search the values of an attribute"):
        return catalogue.attribute_values(attribute, text, NAMESAKES)
    return []


def _named(value: str, name: str) -> str:
    """A name with its value, but for one that says the same: "Teapots [7]"."""
    return value if name.casefold() == value.casefold() else f"{' '.join(name.split())} [{value}]"


@never_raises("search the catalogue", default=NOTHING)
def suggestions(attribute: str, text: str) -> Sequence[tuple[str, str]]:
    """Products of this name, or values of an attribute, each with its label."""
    catalogue = get_catalogue()
    if attribute != ITEM:
        found = catalogue.attribute_values(attribute, text, SUGGESTIONS)
        return [(_named(value, name), "") for value, name in found]
    if not text:
        return NOTHING
    products = catalogue.search(text, SUGGESTIONS)
    offered = catalogue.resolve(products)
    return [(labelled(item_id, offered, catalogue), "") for item_id in products if item_id in offered]
