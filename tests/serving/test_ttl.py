"""Cached values: nobody is given what stands in for a value that somebody is about to read."""

import os
from threading import Event, Thread

import pytest

from django_sessrec.serving.ttl import CachedValue

HOUR = 3600.0


class Source:
    """What is read, slowly on request: a reader waits until `answer` is set."""

    def __init__(self, says):
        self.says, self.asked, self.answer = says, Event(), Event()
        self.answer.set()

    def __call__(self, _current):
        said = self.says
        self.asked.set()
        assert self.answer.wait(300)
        return said


def in_thread(value, into):
    thread = Thread(target=lambda: into.append(value.get(HOUR)))
    thread.start()
    return thread


def test_who_comes_while_the_first_reader_reads_waits_for_it(monkeypatch):
    monkeypatch.setattr("django_sessrec.serving.ttl.MAX_WAIT_SECONDS", 300.0)
    source = Source("hide cups")
    source.answer.clear()
    value, found = CachedValue("no rules", source), []
    first = in_thread(value, found)
    assert source.asked.wait(300)
    second = in_thread(value, found)
    second.join(0.2)
    assert found == [], "neither has an answer yet"
    source.answer.set()
    for reader in (first, second):
        reader.join()
    assert found == ["hide cups"] * 2


def test_nobody_waits_for_the_first_reader_longer_than_a_page_may(monkeypatch):
    monkeypatch.setattr("django_sessrec.serving.ttl.MAX_WAIT_SECONDS", 0.1)
    source = Source("hide cups")
    source.answer.clear()
    value, found = CachedValue("no rules", source), []
    first = in_thread(value, found)
    assert source.asked.wait(300)
    assert value.get(HOUR) == "no rules"
    source.answer.set()
    first.join()
    assert value.get(HOUR) == "hide cups"


def test_what_expired_holds_for_all_but_the_one_who_reads_it_anew():
    source = Source("hide cups")
    value, found = CachedValue("no rules", source), []
    assert value.get(HOUR) == "hide cups"
    source.says = "hide pots"
    assert value.get(HOUR) == "hide cups"
    value.expire()
    source.asked.clear()
    source.answer.clear()
    reader = in_thread(value, found)
    assert source.asked.wait(300)
    assert value.get(HOUR) == "hide cups"
    source.answer.set()
    reader.join()
    assert found == ["hide pots"]
    value.forget()
    assert value.latest == "no rules"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_its_parents_reader(monkeypatch):
    monkeypatch.setattr("django_sessrec.serving.ttl.MAX_WAIT_SECONDS", 300.0)
    source = Source("hide cups")
    source.answer.clear()
    value = CachedValue("no rules", source)
    reader = in_thread(value, [])
    assert source.asked.wait(300)
    child = os.fork()
    if not child:
        source.answer.set()
        os._exit(0 if value.get(HOUR) == "hide cups" else 1)
    source.answer.set()
    reader.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
