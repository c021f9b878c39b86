"""Admin lists of events, impressions and failed events: read-only, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_sessrec.admin.acts import Act, Question, asked, may
from django_sessrec.admin.base import EstimatingPaginator, ReadOnlyAdmin
from django_sessrec.admin.formatting import NONE
from django_sessrec.admin.forms import FIRST_DAY, LAST_DAY, first_moment
from django_sessrec.admin.products import ShownProduct, shown_products
from django_sessrec.admin.sessions import SESSION_OF, SessionOf, SessionsList
from django_sessrec.admin.words import placement_name, reason_name, step_name
from django_sessrec.capture.replay import CODES, replay
from django_sessrec.catalogue import get_catalogue
from django_sessrec.models import AuditEntry, Event, FailedEvent, Impression, Source
from django_sessrec.safety import never_raises

DAYS_OFFERED = 8
CHARACTERS_IN_LIST = 80
PRODUCTS_SEARCHED = 50
RETRY_SECONDS: Final = 8.0  # of the page's: counting before and after takes the rest, and a row may wait


class DayFilter(admin.SimpleListFilter):
    """A filter by day, so that Postgres opens one partition; the address takes any day."""

    title = _("day")
    parameter_name = "day"
    field: str

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        today = timezone.localdate()
        days = [today - timedelta(days=ago) for ago in range(DAYS_OFFERED)]
        return [(day.isoformat(), date_format(day, "SHORT_DATE_FORMAT")) for day in days]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        try:
            day = parse_date(self.value() or "")
        except ValueError:
            day = None
        if day is None or not FIRST_DAY <= day <= LAST_DAY:
            return queryset.none()
        within = {
            f"{self.field}__gte": first_moment(day),
            f"{self.field}__lt": first_moment(day + timedelta(days=1)),
        }
        return queryset.filter(**within)


class OccurredOn(DayFilter):
    field = "occurred_at"


class ShownOn(DayFilter):
    field = "shown_at"


class CameFrom(admin.SimpleListFilter):
    """A filter by source: the package's own, and all of the shop's, as listing these would scan the table."""

    title = _("source")
    parameter_name = "source"
    OTHERS = "others"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [*((value, str(label)) for value, label in Source.choices), (self.OTHERS, gettext("others"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == self.OTHERS:
            return queryset.exclude(source__in=Source.values)
        return queryset.filter(source=self.value()) if self.value() else queryset


class NamedRows(ChangeList):
    """One page of rows, each with the products that it names: looked up once for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: list[Any] = list(self.result_list)
        products = shown_products(item_id for row in self.result_list for item_id in _items_of(row))
        for row in self.result_list:
            row.products = products


class PartitionedAdmin(SessionsList):
    """Base of lists of partitioned tables, ordered by the id, which carries the time and is indexed."""

    item_lookup = "item_id__in"  # given a list
    ordering = ("-pk",)
    paginator = EstimatingPaginator
    list_per_page = 50
    search_help_text = _(
        "A session's id or cookie, or an item's id or name. Choose a day to find an item faster."
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamedRows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Of the products called so; for a session's id the address names one of its rows."""
        term = search_term.strip()
        return (queryset.filter(Q((self.item_lookup, [term, *_called(term)]))) if term else queryset), False

    @admin.display(description=_("session"))
    def session(self, row: Event | Impression) -> str:
        """The end of the session's id, leading to all that this list has of the session."""
        return format_html('<a href="?{}={}">{}</a>', SESSION_OF, row.pk, self.session_end(row))

    @admin.display(description=_("session"))
    def session_end(self, row: Event | Impression) -> str:
        end = super().session_end(row)
        return _("%(session)s (bot)") % {"session": end} if row.bot else end


def _items_of(row: Event | Impression) -> list[str]:
    """The ids of the row's products, in order."""
    ids = row.item_ids if isinstance(row, Impression) else [row.item_id]
    return [item_id for item_id in ids if item_id]


def _products_of(row: Event | Impression) -> list[ShownProduct]:
    """The row's products: those of its whole page where it has one."""
    ids = _items_of(row)
    products = getattr(row, "products", None) or shown_products(ids)
    return [products[item_id] for item_id in ids]


NOTHING: Sequence[str] = ()


@never_raises("search the catalogue", default=NOTHING)
def _called(text: str) -> Sequence[str]:
    """The ids of the shop's products of this name."""
    return get_catalogue().search(text, PRODUCTS_SEARCHED)


@admin.register(Event)
class EventAdmin(PartitionedAdmin):
    list_display = ("occurred_at", "event", "product", "from_list", "worth", "came_from", "session")
    list_filter = (OccurredOn, "name", CameFrom, "bot", SessionOf)
    search_fields = ("item_id",)

    @admin.display(description=_("event"))
    def event(self, event: Event) -> str:
        return event.get_name_display()

    @admin.display(description=_("product"))
    def product(self, event: Event) -> str | None:
        """Picture and name, with the id."""
        for product in _products_of(event):
            words = {"product": product, "note": product.item_id if product.title != product.item_id else ""}
            return render_to_string("admin/sessrec/includes/product.html", words)
        return None

    @admin.display(description=_("from list"))
    def from_list(self, event: Event) -> str | None:
        """A link, not the row: its impression may be pruned, and a query per line is too many."""
        if event.impression_id is None:
            return None
        url = reverse(f"{self.admin_site.name}:sessrec_impression_change", args=[event.impression_id])
        return format_html('<a href="{}">{}</a>', url, event.position or _("list"))

    @admin.display(description=_("source"))
    def came_from(self, event: Event) -> str:
        return str(dict(Source.choices).get(event.source, event.source))

    @admin.display(description=_("value"))
    def worth(self, event: Event) -> str | None:
        if event.price is None:
            return None
        return f"{event.quantity} \N{MULTIPLICATION SIGN} {event.price} {event.currency}".rstrip()


@admin.register(Impression)
class ImpressionAdmin(PartitionedAdmin):
    item_lookup = "item_ids__overlap"
    list_display = ("shown_at", "where", "made_by", "variant", "items", "session")
    list_filter = (ShownOn, "bot", SessionOf)
    search_fields = ("item_ids",)
    exclude = ("item_ids", "reasons")
    readonly_fields = ("why_each",)

    @admin.display(description=_("placement"))
    def where(self, impression: Impression) -> str:
        return placement_name(impression.placement)

    @admin.display(description=_("from"))
    def made_by(self, impression: Impression) -> str:
        """The model, or what stood in for one."""
        return impression.model or step_name(impression.step)

    @admin.display(description=_("items"))
    def items(self, impression: Impression) -> str:
        """The pictures in order, each with its name; the names where the shop has no pictures."""
        products = _products_of(impression)
        if not any(product.image for product in products):
            return Truncator(", ".join(product.title for product in products)).chars(CHARACTERS_IN_LIST)
        picture = '<img src="{0}" alt="{1}" title="{1}" width="32" height="32" loading="lazy">'
        parts = (
            (format_html(picture if product.image else "<span>{1}</span>", product.image, product.title),)
            for product in products
        )
        return format_html('<span class="sessrec-pictures">{}</span>', format_html_join("", "{}", parts))

    @admin.display(description=_("items, each with its reason"))
    def why_each(self, impression: Impression) -> str:
        titles = [product.title for product in _products_of(impression)]
        reasons = [reason_name(reason) for reason in impression.reasons]
        pairs = zip_longest(titles, reasons, fillvalue=NONE)
        lines = ((title, _(":"), reason) for title, reason in pairs)  # a title may be safe: it stays so
        return format_html("<ol>{}</ol>", format_html_join("", "<li>{}{} {}</li>", lines))


@admin.register(FailedEvent)
class FailedEventAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "code", "reason", "session_id")
    actions = ("try_again",)
    list_filter = ("code",)
    ordering = ("-pk",)
    paginator = EstimatingPaginator

    @admin.display(description=_("detail"))
    def reason(self, failed: FailedEvent) -> str:
        return Truncator(failed.detail).chars(CHARACTERS_IN_LIST)

    @admin.action(
        description=_("Retry the selected events that the database did not accept"),
        permissions=["replay"],
    )
    def try_again(self, request: HttpRequest, queryset: QuerySet[FailedEvent]) -> HttpResponse | None:
        chosen = queryset.count()
        question = Question(
            title=_("Retry failed events?"),
            button=ngettext("Retry %d event", "Retry %d events", chosen) % chosen,
            back=request.get_full_path(),
            sentences=[
                _("Each is stored if the database accepts it now; the same event is never stored twice.")
            ],
            # Not of all: refused input may come at any time, and is not retried.
            about=str(queryset.filter(code__in=CODES).count()),
        )
        answer = asked(request, Act.REPLAY, self, question)
        if isinstance(answer, HttpResponse):
            return answer
        by = request.user.get_username()
        entry = AuditEntry.objects.note(AuditEntry.Action.REPLAY, by, reason=answer["reason"], stored=0)

        def note(stored: int) -> None:
            entry.detail["stored"] = stored
            entry.save(update_fields=["detail"])

        done = replay(queryset, seconds=RETRY_SECONDS, note=note)
        left = max(0, queryset.filter(code__in=CODES).count() - done.failed)  # unless another retry took some
        wrong = queryset.exclude(code__in=CODES).count()
        said = [
            (done.stored, ngettext("%d event is stored.", "%d events are stored.", done.stored)),
            (done.known, _("%d were already stored, or their session was withdrawn.")),
            (done.failed, _("%d failed again.")),
            (left, ngettext("%d is left: retry again.", "%d are left: retry again.", left)),
            (wrong, _("%d are invalid and cannot be stored.")),
        ]
        text = " ".join(str(words) % rows for rows, words in said if rows)
        level = messages.WARNING if done.failed or left or wrong else messages.SUCCESS
        self.message_user(request, text, level)
        return None

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return may(request, Act.REPLAY)
