"""A rule, a customer group and variants, so that a walk over the shop's pages meets these, too."""

from django.http import HttpRequest

from django_sessrec.recommendations import Candidate, RuleContext
from tests.demo.recommendations import DemoCatalogue


def something_new_at_the_end(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return [*items, context.propose(30)]


def group(_request: HttpRequest) -> str:
    return "trade"


class WithVariants(DemoCatalogue):
    """Some products are variants of one."""

    parent_field = "family"
