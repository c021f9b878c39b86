"""How the shop writes a price."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def euros(amount: Decimal) -> str:
    """29.9 as €29.90, with the reader's own decimal sign."""
    return f"€{number_format(amount, decimal_pos=2, force_grouping=True)}"
