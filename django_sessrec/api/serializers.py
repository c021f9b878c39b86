"""Serializers of requests and answers: they validate queries and describe everything to the schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from django_sessrec.capture.event import ALIASES, MAX_ITEM_ID
from django_sessrec.conf.entries import MAX_LIMIT
from django_sessrec.experiment_models import EMPTY, HOLDOUT
from django_sessrec.models import EventName
from django_sessrec.serving.candidate import REASONS, STEPS
from django_sessrec.serving.visit import MAX_CATEGORIES, MAX_QUERY, MAX_SESSION_ITEMS

MAX_PLACEMENT, MAX_LANGUAGE = 200, 20  # characters
BROWSER_NAMES = [name for name in EventName.values if name not in {EventName.PURCHASE, EventName.REFUND}]


class Body(serializers.Serializer):
    """A JSON object in which null says what leaving the key out says, where the key is optional."""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields: dict[str, serializers.Field] = super().get_fields()
        for field in fields.values():
            field.allow_null = not field.required
        return fields

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return {key: value for key, value in super().to_internal_value(data).items() if value is not None}


class OfAPlacement(serializers.Serializer):
    """What is asked of a placement."""

    item_id = serializers.CharField(
        required=False, max_length=MAX_ITEM_ID, help_text="The product on screen."
    )
    category = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ITEM_ID),
        required=False,
        max_length=MAX_CATEGORIES,
        help_text="Categories of the page, as the catalogue names them: the list shows these only.",
    )
    query = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_QUERY, help_text="The words of the page's search."
    )
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_LIMIT)
    language = serializers.CharField(
        required=False,
        max_length=MAX_LANGUAGE,
        help_text="Of the page, such as de; by default the browser's.",
    )


class SlotQuery(OfAPlacement):
    """Query parameters of a list whose placement stands in the address."""

    leave_out = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ITEM_ID),
        required=False,
        max_length=2 * MAX_LIMIT,  # as many as a page names, and as many as its other lists show
        help_text="Products that the list must not show, such as those elsewhere on the page.",
    )


class CategorySlotQuery(OfAPlacement):
    """The same for a list of categories."""

    exclude = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ITEM_ID),
        required=False,
        max_length=MAX_CATEGORIES,
        help_text="Categories that the list must not show, such as the page's own.",
    )


class NamesAPlacement(serializers.Serializer):
    placement = serializers.CharField(help_text="A key of SESSREC['PLACEMENTS'].", max_length=MAX_PLACEMENT)


class Query(NamesAPlacement, SlotQuery):
    """Query parameters of a list."""


class CategoryQuery(NamesAPlacement, CategorySlotQuery):
    """Query parameters of a list of categories."""


class KeepsTheSession(Body):
    """Of a shop that keeps the session's items itself."""

    item_ids = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ITEM_ID),
        required=False,
        max_length=MAX_SESSION_ITEMS,
        help_text="The visit's products, oldest first, in place of what the server knows of the visit.",
    )


class QueryWithItems(KeepsTheSession, Query):
    """Query parameters of a shop that keeps the session's items itself."""


class CategoryQueryWithItems(KeepsTheSession, CategoryQuery):
    """The same for a list of categories."""


class Reason(serializers.Serializer):
    code = serializers.ChoiceField(REASONS, help_text="What brought the item into the list.")
    because = serializers.ListField(child=serializers.CharField(), help_text="Clicks that spoke for it.")


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}], "nullable": True})
class Price(serializers.CharField):
    """A price of whatever type the catalogue gives it."""


class Item(serializers.Serializer):
    """An item of a list, with the fields that the shop's catalogue describes it by."""

    item_id = serializers.CharField()
    position = serializers.IntegerField(min_value=1)
    step = serializers.ChoiceField(STEPS, help_text="What brought it: a step of the fallback, or the shop.")
    pinned = serializers.BooleanField(help_text="Shown by the shop's choice, not for this visit.")
    sponsored = serializers.BooleanField(help_text="Somebody pays for it: say so beside the item.")
    reason = Reason()
    row = serializers.CharField(
        allow_blank=True, help_text="Heading of its row; empty in the first one, which has the list's title."
    )
    title = serializers.CharField()
    url = serializers.CharField(help_text="Names the list, so that a visit through it counts as a click.")
    image = serializers.CharField(required=False, allow_null=True)
    price = Price(required=False, help_text="As the catalogue writes it; a decimal number as text.")


class RecommendationsAnswer(serializers.Serializer):
    rec_id = serializers.CharField(allow_null=True, help_text="The signed list; null without consent.")
    placement = serializers.CharField()
    title = serializers.CharField()
    personalised = serializers.BooleanField(help_text="Whether the visit's clicks had a say.")
    consent = serializers.ChoiceField(["contextual", "session"])
    model = serializers.CharField(allow_blank=True)
    step = serializers.CharField(allow_blank=True)
    variant = serializers.CharField(allow_blank=True)
    items = Item(many=True)


class Category(serializers.Serializer):
    """A category of a list, with the fields that the shop's catalogue describes it by."""

    category = serializers.CharField(help_text="As the catalogue names it.")
    position = serializers.IntegerField(min_value=1)
    viewed = serializers.IntegerField(help_text="Products of it that this visit has viewed.")
    reason = Reason()
    title = serializers.CharField()
    url = serializers.CharField()
    image = serializers.CharField(required=False, allow_null=True)


class CategoriesAnswer(serializers.Serializer):
    placement = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    personalised = serializers.BooleanField(help_text="Whether the visit's clicks had a say.")
    consent = serializers.ChoiceField(["contextual", "session"])
    categories = Category(many=True)


class EventItem(Body):
    item_id = serializers.CharField(max_length=MAX_ITEM_ID)
    index = serializers.IntegerField(required=False, help_text="Its position in the list, 1 is the first.")
    price = serializers.DecimalField(13, 3, required=False)
    quantity = serializers.IntegerField(required=False, min_value=1)


class EventBody(Body):
    event_id = serializers.UUIDField(help_text="A UUID of version 7: the event's identity and its time.")
    event = serializers.ChoiceField(
        BROWSER_NAMES, help_text=f"Also the names of Segment and Google Retail: {', '.join(ALIASES)}."
    )
    ts = serializers.DateTimeField(required=False, help_text="For the sender's logs; the id's time counts.")
    rec_id = serializers.CharField(
        required=False, help_text="Its list; select_item and view_item_list need it."
    )
    item_list_id = serializers.CharField(required=False, help_text="For the sender's logs.")
    currency = serializers.RegexField("^[A-Z]{3}$", required=False)
    items = EventItem(
        many=True, required=False, help_text="One item; none for a list, a search or a category."
    )


class EventsBody(Body):
    sent_at = serializers.DateTimeField(required=False)
    events = EventBody(many=True)


class Rejected(serializers.Serializer):
    index = serializers.IntegerField(help_text="The event's place in the request, 0 is the first.")
    code = serializers.CharField()


class EventsAnswer(serializers.Serializer):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = Rejected(many=True)
    bot = serializers.BooleanField(required=False, help_text="True where the user agent is a bot's.")


class Problem(serializers.Serializer):
    """Problem details (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()


def problems(*statuses: int) -> dict[tuple[int, str], type[Problem]]:
    """What an address may answer besides: these, and those that every address of this API has."""
    return {(status, "application/problem+json"): Problem for status in (*statuses, 403, 429, 503)}


class MyEvent(serializers.Serializer):
    event_id = serializers.UUIDField()
    occurred_at = serializers.DateTimeField()
    name = serializers.CharField()
    item_id = serializers.CharField()
    quantity = serializers.IntegerField()
    price = serializers.DecimalField(13, None, allow_null=True)
    currency = serializers.CharField()
    impression_id = serializers.UUIDField(allow_null=True)
    position = serializers.IntegerField(allow_null=True)
    source = serializers.CharField(  # type: ignore[assignment]  # the metaclass keeps the framework's own
        help_text="The server, the browser, or another system."
    )
    bot = serializers.BooleanField(help_text="True where the user agent was a bot's.")


class MyImpression(serializers.Serializer):
    impression_id = serializers.UUIDField()
    shown_at = serializers.DateTimeField()
    placement = serializers.CharField()
    model = serializers.CharField(help_text="Empty where no model recommended.")
    run = serializers.IntegerField(source="run_id", allow_null=True, help_text="Its training run.")
    step = serializers.ChoiceField(
        [*STEPS, HOLDOUT, EMPTY],
        help_text="holdout: a list that is empty on purpose; empty: one for which nothing was found.",
    )
    experiment = serializers.CharField(help_text="That the session takes part in; empty for none.")
    variant = serializers.CharField()
    bot = serializers.BooleanField()
    item_ids = serializers.ListField(child=serializers.CharField())
    reasons = serializers.ListField(child=serializers.CharField(), help_text="The code of each.")
    wanted = serializers.IntegerField(allow_null=True, help_text="Items that the placement asks for.")
    session_clicks = serializers.IntegerField(allow_null=True, help_text="Clicks that the list could hear.")
    session_intents = serializers.IntegerField(
        allow_null=True, help_text="Kinds of things that the session is after, as the model tells them apart."
    )
    duration_us = serializers.IntegerField(allow_null=True, help_text="Microseconds that the list took.")
    propensities = serializers.ListField(
        child=serializers.FloatField(allow_null=True),
        allow_null=True,
        help_text="The probability with which each was drawn, where the placement explores.",
    )


class MyFailedEvent(serializers.Serializer):
    received_at = serializers.DateTimeField()
    code = serializers.CharField(help_text="Why it could not be stored.")
    detail = serializers.CharField()
    payload = serializers.JSONField(help_text="What arrived.")


class MyQuarantine(serializers.Serializer):
    reason = serializers.CharField(help_text="Why the session was taken for a bot's and excluded.")
    found_at = serializers.DateTimeField()
    released_at = serializers.DateTimeField(
        allow_null=True, help_text="When staff took it back; null while the session is excluded."
    )


class MyData(serializers.Serializer):
    """All stored data of a session."""

    session_id = serializers.UUIDField(allow_null=True)
    events = MyEvent(many=True)
    impressions = MyImpression(many=True)
    failed_events = MyFailedEvent(many=True, help_text="Events that could not be stored.")
    quarantine = MyQuarantine(allow_null=True, help_text="Null for most sessions.")
    withdrawn_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When consent was withdrawn or the session erased; later events are dropped.",
    )


class Erased(serializers.Serializer):
    erased = serializers.DictField(child=serializers.IntegerField(), help_text="Rows by table.")


class Switch(serializers.Serializer):
    """The form of {% sessrec_toggle %}."""

    personalisation = serializers.ChoiceField(choices=["off", "on"])
    next = serializers.CharField(
        required=False, help_text="The page to go back to: a path of this shop, or it is ignored."
    )
