"""A rule of the shop's own, so that a walk over its pages meets the rules, too."""

from django_sessrec.recommendations import Candidate, RuleContext


def something_new_at_the_end(items: list[Candidate], context: RuleContext) -> list[Candidate]:
    return [*items, context.propose(30)]
