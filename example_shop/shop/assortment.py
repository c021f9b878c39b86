"""The range of goods: departments, kinds, and products whose names, prices and stock come from a seed."""

import itertools
import random
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.text import slugify

from example_shop.shop.models import Category, Colour, Product

PRODUCTS_PER_KIND = 25
VARIATIONS = 12


@dataclass(frozen=True)
class Kind:
    """A kind of goods ("Teapots") and the words its products are named with."""

    slug: str
    name: str
    styles: list[str]
    sizes: list[str]
    prices: tuple[int, int]
    colours: list[str]
    about: list[str]
    goes_with: list[str]


@dataclass(frozen=True)
class Department:
    """A department ("Kitchen"), the kinds in it, and its makers with their collections."""

    slug: str
    name: str
    makers: dict[str, list[str]]
    kinds: list[Kind] = field(default_factory=list)


@cache
def departments() -> tuple[Department, ...]:
    """The range as assortment.toml describes it."""
    described: list[dict[str, Any]] = tomllib.loads(
        Path(__file__).with_name("assortment.toml").read_text(encoding="utf-8")
    )["departments"]
    return tuple(
        Department(**{**department, "kinds": [Kind(**kind) for kind in department["kinds"]]})
        for department in described
    )


def categories() -> list[Category]:
    """Departments first, then the kinds under them."""
    tops = [_category(d.slug, d.name, d.kinds[0], position) for position, d in enumerate(departments())]
    kinds = [(kind, d.slug) for d in departments() for kind in d.kinds]
    return tops + [
        _category(kind.slug, kind.name, kind, position, parent)
        for position, (kind, parent) in enumerate(kinds)
    ]


def _category(slug: str, name: str, shown: Kind, position: int, parent: str | None = None) -> Category:
    colour = shown.colours[position % len(shown.colours)]
    return Category(
        slug=slug, name=name, parent_id=parent, position=position, picture_of=shown.slug, colour=colour
    )


def products(seed: int = 1, per_kind: int = PRODUCTS_PER_KIND) -> list[Product]:
    """The same seed gives the same goods, name for name and price for price."""
    dice = random.Random(seed)
    made = [product for d in departments() for kind in d.kinds for product in _of(kind, d, per_kind, dice)]
    colours = Counter(product.family for product in made)
    for product in made:
        if colours[product.family] == 1:
            product.family = ""
    return made


def arrivals(day: date, number: int = 3) -> list[Product]:
    """What is new on this day: of the same kinds, but of no family that is in the range."""
    there = {name for product in products() for name in (product.slug, product.family)} - {""}
    reserve = [each for each in products(seed=2) if not {each.slug, each.family} & there]
    chosen = random.Random(day.toordinal()).sample(reserve, number)
    for product in chosen:
        product.family = ""
    return chosen


def _of(kind: Kind, department: Department, number: int, dice: random.Random) -> list[Product]:
    makers = [(maker, collection) for maker, names in department.makers.items() for collection in names]
    sizes = [size.replace(" ", "\N{NO-BREAK SPACE}") for size in kind.sizes] or [""]
    possible = list(itertools.product(makers, range(len(kind.styles)), range(len(sizes)), kind.colours))
    chosen = sorted(dice.sample(possible, min(number, len(possible))))
    return [
        Product(
            category_id=kind.slug,
            name=(name := _name(collection, kind.styles[style], sizes[size], Colour(colour).label.lower())),
            slug=_slug(name),
            maker=maker,
            collection=collection,
            family=_slug(_name(collection, kind.styles[style], sizes[size])),
            colour=colour,
            description=_description(kind, maker, dice),
            price=_price(kind, style / len(kind.styles), size / len(sizes), dice),
            stock=0 if dice.random() < 0.04 else dice.randint(2, 60),
            variation=dice.randrange(VARIATIONS),
        )
        for (maker, collection), style, size, colour in chosen
    ]


def _name(collection: str, style: str, size: str, colour: str = "") -> str:
    return ", ".join(filter(None, [f"{collection} {style}", size, colour]))


def _slug(name: str) -> str:
    return slugify(name.replace(".", "-"))


def _description(kind: Kind, maker: str, dice: random.Random) -> str:
    return " ".join([*dice.sample(kind.about, 2), f"Made by {maker}."])


def _price(kind: Kind, style: float, size: float, dice: random.Random) -> Decimal:
    """A finer style and a larger size cost more; every price ends on .90 or .95."""
    lowest, highest = kind.prices
    place = 0.55 * style + 0.3 * size + 0.25 * dice.random()
    return Decimal(int(lowest + place * (highest - lowest))) - 1 + Decimal(dice.choice(["0.90", "0.95"]))
