"""The same promises of both backends: written at once, and through the stream."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from django_sessrec.capture.erasure import erase_sessions
from django_sessrec.capture.event import to_payload
from django_sessrec.capture.outbox import outbox
from django_sessrec.capture.session_events import session_events
from django_sessrec.ids import uuid7
from django_sessrec.models import Event, FailedEvent, Impression, Ledger
from tests.support.capture import captured, event, in_the_ledger, shown


def test_rows_arrive_as_they_were_sent(backend):
    session_id = uuid7()
    impression = shown(session_id, "2", 'it\'s "quoted", {braced}, back\\slashed %s \U0001f375')
    click = event("2", name="select_item", session_id=session_id, impression_id=impression.pk, position=1)
    purchase = event("2", name="purchase", session_id=session_id, quantity=3, price="19.99", currency="EUR")
    outbox.deliver([click, purchase], [impression])
    backend()
    assert [to_payload(each) for each in Event.objects.order_by("pk")] == [
        to_payload(click),
        to_payload(purchase),
    ]
    assert to_payload(Impression.objects.get()) == to_payload(impression)
    assert in_the_ledger() == {"stored": 3}


@hypothesis_settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_batches_sent_again_and_shuffled_are_stored_once_and_counted(backend, data):
    Ledger.objects.all().delete()
    Event.objects.all().delete()
    events = [event(str(n)) for n in range(6)]
    copies = data.draw(st.lists(st.integers(1, 5), min_size=6, max_size=6))
    sent = data.draw(
        st.permutations([each for each, n in zip(events, copies, strict=True) for _ in range(n)])
    )
    cut = data.draw(st.integers(0, len(sent)))
    for batch in (sent[:cut], sent[cut:]):
        if batch:
            outbox.deliver(batch)
    backend()
    assert {item for _, item in captured()} == {"0", "1", "2", "3", "4", "5"}
    assert in_the_ledger().get("stored") == 6
    assert sum(in_the_ledger().values()) == len(sent)


def test_the_first_content_of_an_id_wins(backend):
    first = event("1")
    outbox.deliver([first])
    outbox.deliver([event("2", event_id=first.event_id)])
    backend()
    assert captured() == [("view_item", "1")]
    assert in_the_ledger() == {"stored": 1, "duplicate": 1}


def test_a_bad_row_is_kept_and_costs_no_other(backend):
    bad = event("bad")
    bad.position = 10**6  # no smallint
    outbox.deliver([event("1"), bad])
    outbox.deliver([event("2")])
    backend()
    assert {item for _, item in captured()} == {"1", "2"}
    failed = FailedEvent.objects.get()
    assert (failed.code, failed.payload["item_id"], failed.session_id) == ("database", "bad", bad.session_id)
    assert in_the_ledger() == {"stored": 2, "failed": 1}


def test_a_missing_day_is_made(backend):
    outbox.deliver([event(event_id=uuid7(datetime.now(UTC) - timedelta(days=50))), event()])
    backend()
    assert in_the_ledger() == {"stored": 2}


def test_what_comes_after_a_withdrawal_is_dropped_and_counted(backend):
    gone, stays = uuid7(), uuid7()
    outbox.deliver([event("1", session_id=gone), event("1", session_id=stays)], [shown(gone, "2")])
    erase_sessions([gone])
    assert outbox.deliver([event("2", session_id=gone)]).withdrawn == 1
    backend()
    assert set(Event.objects.values_list("session_id", flat=True)) == {stays}
    assert not Impression.objects.exists()
    assert [each.item_id for each in session_events(stays)] == ["1"]
    counts = in_the_ledger()
    assert counts["stored"] + counts["withdrawn"] == 4


def test_whatever_comes_of_a_withdrawn_session_is_told(backend):
    erase_sessions([gone := uuid7()])
    bot = event("1", session_id=gone)
    bot.bot = True
    search = event("", name="search", session_id=gone)
    told = [outbox.deliver([bot]), outbox.deliver([search]), outbox.deliver([], [shown(gone, "2")])]
    assert [each.withdrawn for each in told] == [1, 1, 1]
    backend()
    assert in_the_ledger() == {"withdrawn": 3}


def test_a_visits_next_page_knows_its_last_click_at_once(backend):
    session_id = uuid7()
    bot = event("bot", session_id=session_id)
    bot.bot = True
    outbox.deliver([event("1", session_id=session_id), event("2", name="select_item", session_id=session_id)])
    outbox.deliver([event("2", session_id=session_id), bot, event("4", session_id=uuid7())])
    assert [each.item_id for each in session_events(session_id)] == ["1", "2"]
    backend()
    outbox.deliver([event("1", name="add_to_cart", session_id=session_id)])
    assert [each.item_id for each in session_events(session_id)] == ["1", "2", "1"]
    assert [each.item_id for each in session_events(session_id, limit=2)] == ["2", "1"]


def test_an_erased_visits_clicks_are_gone_before_they_are_stored(backend):
    session_id = uuid7()
    outbox.deliver([event("1", session_id=session_id)])
    erase_sessions([session_id])
    assert [each.item_id for each in session_events(session_id)] == []
    backend()
    assert captured() == []


def test_a_click_on_a_page_takes_the_same_way(visitor, backend):
    visitor.get("/product/1/")
    visitor.get("/product/2/")
    backend()
    assert captured() == [("view_item", "1"), ("view_item", "2")]
    assert in_the_ledger() == {"stored": 2}
