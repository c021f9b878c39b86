"""Events as a browser sends them."""

from typing import Any
from uuid import uuid4

from django.test import Client

from django_sessrec.ids import uuid7
from tests.support.visits import FIREFOX

BROWSER = {"User-Agent": FIREFOX, "Sec-Fetch-Site": "same-origin"}


def an_event(name: str = "view_item", item_id: Any = "1", **fields: Any) -> dict[str, Any]:
    item = {key: fields.pop(key) for key in ("price", "quantity", "index") if key in fields}
    return {"event_id": str(uuid7()), "event": name, "items": [{"item_id": item_id, **item}], **fields}


def send(client: Client, *events: Any, **headers: str):
    return client.post(
        "/sessrec/events/", {"events": list(events)}, content_type="application/json", headers=headers
    )


def unlike_any() -> str:
    """An id of version 4: no time in it."""
    return str(uuid4())
