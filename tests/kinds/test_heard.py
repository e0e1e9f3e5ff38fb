"""What a library says through `logging`, heard by one thread."""

from __future__ import annotations

import contextlib
import io
import logging
import threading

import pytest

from qchive.kinds.heard import heard

LIBRARY = logging.getLogger("a.library")


@pytest.fixture(autouse=True)
def talkative() -> None:
    LIBRARY.setLevel(logging.INFO)


def test_each_thread_hears_itself_only(caplog: pytest.LogCaptureFixture) -> None:
    both = threading.Barrier(2, timeout=30)
    texts = {name: io.StringIO() for name in ("one", "other")}

    def work(name: str) -> None:
        with heard("a.library", texts[name]):
            both.wait()
            LIBRARY.info("%s says\n", name)
            both.wait()

    threads = [threading.Thread(target=work, args=(name,)) for name in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: text.getvalue() for name, text in texts.items()} == {"one": "one says\n", "other": "other says\n"}
    assert not caplog.records


def test_afterwards_the_library_speaks_as_before(caplog: pytest.LogCaptureFixture) -> None:
    text = io.StringIO()
    with contextlib.suppress(ZeroDivisionError), heard("a.library", text):
        LIBRARY.info("inside")
        raise ZeroDivisionError
    LIBRARY.info("outside")
    assert text.getvalue() == "inside"
    assert caplog.messages == ["outside"]
    assert not LIBRARY.filters
