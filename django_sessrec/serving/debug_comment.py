"""What a page says under DEBUG in place of a list that it does not show."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.safestring import SafeString

from django_sessrec.safety import never_raises
from django_sessrec.serving.candidate import RECENTLY_VIEWED
from django_sessrec.serving.placements import placement_for


class DebugComment(SafeString):
    """An HTML comment that counts as empty text: a template's {% if %} takes it as it does in production."""

    def __bool__(self) -> bool:
        return False


@never_raises("say why there is no list", default=SafeString(""))
def why_no_list(placement: str, *, template: str = "", categories: bool = False) -> SafeString:
    """The reason as an HTML comment; empty text without DEBUG.

    template:   of a list that has items and could not be rendered
    categories: whether it is a list of categories
    """
    if not settings.DEBUG:
        return SafeString("")
    if (reason := why_unknown(placement)) is None:
        reason = (
            f"the placement {placement!r} has no category to show: the catalogue's category() says which an"
            " item has, and its describe_categories() which have a page"
            if categories
            else f"{template!r} could not be rendered; the log of django_sessrec says why"
            if template
            else "this visitor has viewed nothing before this page, has not consented, or is staff: the step"
            f" {RECENTLY_VIEWED} then has no item"
            if placement_for(placement).steps == (RECENTLY_VIEWED,)
            else f"the placement {placement!r} has no item to show; if something failed, the log of"
            " django_sessrec says what, and manage.py sessrec_doctor examines the catalogue"
        )
    inside = re.sub("-(?=-)", "- ", reason)  # two hyphens may end a comment
    return DebugComment(f"<!-- sessrec: {inside} -->")


def why_unknown(placement: str) -> str | None:
    """Why no list can be made for the placement; None where one can."""
    try:
        placement_for(placement)
    except Exception as problem:  # whatever is wrong with it
        return str(problem)
    return None
