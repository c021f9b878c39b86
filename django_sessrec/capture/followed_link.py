"""The link by which a visitor came from a list: the server tells the click by it where no script did."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest

from django_sessrec.capture.event import MAX_POSITION, make
from django_sessrec.capture.rec_id import verify
from django_sessrec.conf import sessrec_settings
from django_sessrec.models import Event, EventName

LINK = "sessrec"  # the query argument of a recommended product's link: <rec_id>.<position>
POSITION = re.compile("[0-9]{1,4}")


def click(request: HttpRequest, item_id: str, session_id: UUID) -> Event | None:
    """The click on the item in a list of this session, if the page's own address proves one."""
    rec_id, _, position = request.GET.get(LINK, "").rpartition(".")
    max_age = timedelta(hours=sessrec_settings.ATTRIBUTION_HOURS)
    impression_id = verify(rec_id, session_id, max_age) if rec_id else None
    if impression_id is None or not POSITION.fullmatch(position) or int(position) > MAX_POSITION:
        return None
    return make(
        EventName.SELECT_ITEM,
        item_id,
        session_id=session_id,
        impression_id=impression_id,
        position=int(position),
    )
