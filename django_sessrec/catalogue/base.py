"""What a shop's catalogue answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.http import HttpRequest


class Catalogue(ABC):
    """Base class of a shop's catalogue.

    Methods may raise: on a page, an item whose `describe` or `category` raises is left out and its place
    is filled by another; where `resolve` or `sensitive` raises, the list stays empty. The error is logged.
    A new instance is made for each list, so attributes set in a method live as long as that list.
    """

    @abstractmethod
    def resolve(self, item_ids: Collection[str], request: HttpRequest | None = None) -> Mapping[Any, Any]:
        """The items that may be shown now: id -> the object that templates get as `item.item`.

        What is left out (deleted, sold out, unpublished) is not shown. Make it one query: it is called
        once for a list, and a second time only where too many candidates were left out.

        `item_ids` are text. `request` is the page's, for shops whose range differs by visitor; it is None
        where a list is made without one, such as in a preview.
        """

    def known(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        """As `resolve`, with those that are not offered now: staff read their names in the admin."""
        return self.resolve(item_ids)

    def describe(self, item: Any, request: HttpRequest | None = None) -> dict[str, Any]:
        """Fields of a resolved item for the default templates and the REST view, where they become JSON.

        "title" and "url" are required. The default templates also use "image" (a URL, or None) and
        "price"; further keys reach the shop's own templates as `item.fields.<key>`.
        """
        return {"title": str(item), "url": self.url(item)}

    def item_id(self, item: Any) -> Any:
        """The id of one of the shop's objects, which tags and views may name instead of an id."""
        return item.pk

    def url(self, item: Any) -> str:
        """The address of the item's page."""
        return str(item.get_absolute_url())

    def category(self, item: Any) -> str | Collection[str] | None:
        """What MAX_PER_CATEGORY counts: a category, several of them, or None for an item without one."""
        return None

    def attributes(self, item: Any) -> Mapping[str, Any]:
        """What a merchant's rules may ask of a resolved item: name -> a text, several texts, or None.

        "price" and "stock" are numbers; the admin names "brand", "category" and "tags", and rules take any
        further key of the shop's own. Called for each candidate of a list that has rules: no query here.
        Where it raises, no rule by attribute applies to the item, and a list that hides by one leaves it out.
        """
        return {"category": self.category(item)}

    def attribute_values(self, attribute: str, text: str, limit: int) -> Iterable[tuple[str, str]]:
        """Values of an attribute that contain the text, each with its name: what the rules' editor offers.

        A text that is a value itself finds it: the editor warns of a value that no product has. A
        ModelCatalogue looks into its fields, and nothing is said of an attribute that `category` or
        `attributes` answers in their place unless this is overridden, too.
        """
        return []

    def basket(self, request: HttpRequest) -> Iterable[Any] | None:
        """Ids, or objects, of what is in the visitor's basket, the line added last at the end.

        None: the session's own add_to_cart and remove_from_cart events tell it. Asked with consent only, once
        for each list, so answer from the request, a cookie or a cache.
        """
        return None

    def kind(self, item: Any) -> str | None:
        """What the item is one of, in the plural and in the page's language, such as "tents".

        Heading of a row of a placement whose INTENTS are "rows": "More tents". Without it the row is named
        after a product that the visitor looked at. Called once for a row: no query for each item.
        """
        return None

    def families(self, item_ids: Collection[str]) -> Mapping[Any, Any]:
        """Id -> the family's id, of those that are variants of something, such as the sizes of a shirt.

        A list shows one of a family, and a view of a variant counts for all of it. Items that are sold out
        or gone have families too. The answer is kept for a minute. An id that is an item's, too, is the
        parent's: its views count for the family. Where families are no items, give them ids of their own,
        such as "style:10".
        """
        return {}

    def variants(self, families: Collection[str]) -> Mapping[Any, Iterable[Any]]:
        """Family's id -> ids of its items that may be shown now, best first; of the families among these."""
        return {}

    def related(self, item_id: str, limit: int) -> Iterable[Any]:
        """Ids of items of the same category, best first, at most `limit`.

        Shown where no model knows the item on the page, such as a new product.
        """
        return []

    def in_category(self, categories: Collection[str], limit: int) -> Iterable[Any]:
        """Ids of items of any of the categories that may be shown, newest first, at most `limit`.

        For lists on the pages of categories. The answer is kept for a minute.
        """
        return []

    def describe_categories(
        self, categories: Collection[str], request: HttpRequest | None = None
    ) -> Mapping[Any, Mapping[str, Any]]:
        """Category -> its fields, of those that have a page: what lists of categories show.

        `categories` are as `category` names them. "title" and "url" are required; the default template also
        uses "image" (a URL, or None), and JSON answers hold all of them. A category that is left out, such as
        one that is gone, is not shown. Make it one query: it is called once for a list.
        """
        return {}

    def main_categories(self, limit: int) -> Iterable[str]:
        """The shop's main categories, best first, at most `limit`: they fill a list of categories.

        Such a list asks for them where it would be short, and shows those of which `in_category` knows a
        product. They are named as `category` names them; the answer is kept for ten minutes.
        """
        return []

    def newest(self, limit: int) -> Iterable[Any]:
        """Ids of the newest items that may be shown, at most `limit`: what the step "new" shows."""
        return []

    def fallback(self, limit: int) -> Iterable[Any]:
        """Ids of items to show when nothing else is known, best first, at most `limit`."""
        return []

    def search(self, text: str, limit: int) -> Iterable[Any]:
        """Ids of products called like the text, at most `limit`: staff find events by it in the admin."""
        return []

    def sensitive(self, item_ids: Collection[str]) -> Iterable[Any]:
        """Ids, among these, of items that are never captured, trained on, recommended or given as a reason.

        For goods that tell of health, faith, sex life and the like. Called with the ids of each request's
        events and of each list's candidates, so make it one indexed query.
        """
        return ()
