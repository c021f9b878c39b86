"""What the rehearsal of faults says of slow pages."""

from benchmarks.chaos.sent import NEW, Sent


def test_a_slow_page_is_told_by_what_it_may_have_waited_for():
    sent = Sent()
    with sent.fault(["postgres"]):
        began = sent.faults[0].since
    sent.took("GET /away/", began, began + 3, "page;dur=2990.0")
    later = sent.faults[0].until + 1
    sent.took("GET /new/", later, later + 3, f"page;dur=2990.0, {NEW}")
    sent.took("GET /slow/", later, later + 3, "page;dur=2990.0")
    sent.took("GET /quick/", later, later + 1, "page;dur=990.0")
    assert sent.slow_in_faults == 1
    assert sent.slow_in_new_processes == [f"GET /new/: 3.0 s, 1.0 s after postgres (page;dur=2990.0, {NEW})"]
    assert sent.slow_pages == ["GET /slow/: 3.0 s, 1.0 s after postgres (page;dur=2990.0)"]
