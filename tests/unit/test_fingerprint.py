"""Fingerprints: the same error with other numbers, paths, machines … is the same, another one is another."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qchive.fingerprint import fingerprint, normal, shortened, telling

REAL: dict[str, Any] = json.loads(Path(__file__).with_name("real_failures.json").read_text(encoding="utf-8"))

_name = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12)
_part = st.one_of(_name, _name.map(lambda n: f"{n}.out"), st.just("tmp1a2b3c"))
PATHS = st.lists(_part, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.6f}"),
    st.floats(1e-30, 1e30).map(lambda x: f"{x:.3E}"),
)
VARYING: dict[str, st.SearchStrategy[str]] = {
    "number": NUMBERS,
    "numbers": st.lists(NUMBERS, min_size=1, max_size=6).map(", ".join),
    "path": PATHS,
    "address": st.integers(0, 2**64 - 1).map(hex),
    "uuid": st.binary(min_size=16, max_size=16).map(lambda b: str(UUID(bytes=b))),
    "hex": st.binary(min_size=6, max_size=6).map(bytes.hex).filter(lambda h: not h.isalpha()),
    "host": st.tuples(st.sampled_from(["node", "cn-", "gpu"]), st.integers(0, 9999)).map(
        lambda t: f"{t[0]}{t[1]}.cluster.example.org"
    ),
    "node": st.integers(0, 999).map(lambda n: f"node cn{n:04}"),
    "email": _name.map(lambda n: f"u{n}x@login1.example.org"),
    "url": _name.map(lambda n: f"http://{n}:7777/api"),
    "time": st.datetimes().map(lambda t: t.isoformat(" ")),
    "zulu": st.datetimes().map(lambda t: t.isoformat() + "Z"),
    "ctime": st.datetimes().map(lambda t: t.strftime("%a %b %d %H:%M:%S ") + f"{t.year:04}"),
    "quoted": st.text("abcxyz ,.0123", max_size=20).map(lambda t: f"'{t}'"),
}
FRAMES = st.lists(
    st.tuples(PATHS, st.integers(1, 9999), _name).map(lambda f: f'  File "{f[0]}", line {f[1]}, in {f[2]}\n    call()'),
    min_size=1,
    max_size=8,
).map(lambda frames: "Traceback (most recent call last):\n" + "\n".join(frames) + "\n")


@pytest.mark.parametrize("what", VARYING)
@given(data=st.data())
def test_the_same_error_has_the_same_fingerprint_whatever_varies(what: str, data: st.DataObject) -> None:
    one, other = data.draw(VARYING[what]), data.draw(VARYING[what])
    for text in ("SCF failed at {}", "could not read {} of the job", "bad value {}: it is too large"):
        assert normal(text.format(one)) == normal(text.format(other))
        assert fingerprint("x", text.format(one)) == fingerprint("x", text.format(other))


@given(FRAMES, FRAMES)
def test_of_a_traceback_only_the_end_counts(one: str, other: str) -> None:
    end = "ValueError: no orbitals"
    assert telling(f"Something:\n{one}{end}\n") == end
    assert fingerprint("x", one + end) == fingerprint("x", other + end)
    chained = f"{one}KeyError: 3\n\nDuring handling of the above exception, another exception occurred:\n\n{other}{end}"
    assert telling(chained) == end


def test_real_failures_differ_unless_they_are_the_same() -> None:
    by_print: dict[str, list[str]] = {}
    for name, error in REAL.items():
        by_print.setdefault(fingerprint(error["error_type"], error["error_message"]), []).append(name)
    assert [names for names in by_print.values() if len(names) > 1] == [
        ["pyscf_scf_water", "pyscf_scf_lithium"],
        ["pyscf_multiplicity", "tblite_multiplicity"],
        ["geometric_steps", "geometric_steps_more"],
    ]


@given(
    st.tuples(st.text("abcdefg ", min_size=3), st.text("abcdefg ", min_size=3)).filter(
        lambda t: t[0].split() != t[1].split()
    )
)
def test_other_words_are_another_error(words: tuple[str, str]) -> None:
    one, other = (f"error: {w} (code 3)" for w in words)
    assert fingerprint("x", one) != fingerprint("x", other)


def test_another_type_is_another_error() -> None:
    assert fingerprint("input_error", "no") != fingerprint("unknown_error", "no")


def test_an_error_that_says_only_what_it_quotes_is_told_by_that() -> None:
    assert normal("KeyError: 'geometry'") == "KeyError: 'geometry'"
    assert fingerprint("x", "KeyError: 'geometry'") != fingerprint("x", "KeyError: 'energy'")
    assert normal("no field 'geometry' here") == "no field <quoted> here"
    assert normal("it can't and it won't") == "it can't and it won't"


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("b3lyp/6-31g failed in /scratch/u1/tmpx9/job.out (0x7f00)", "b#lyp/#g failed in <path> (#)"),
        ("Unable to allocate 128. TiB for shape (4194304, 4194304)", "Unable to allocate # TiB for shape (#)"),
        ("loss of manager a1b2c3d4e5f6 on host n-17.cluster.example.org", "loss of manager # on <host>"),
        (
            'Out of memory\nTraceback (most recent call last):\n  File "x.py", line 1, in f\n\nMemoryError',
            "MemoryError",
        ),
        ("one\n\ntwo\nthree\nfour\nfive\nsix", "one two five six"),
        ("", ""),
    ],
)
def test_what_remains_of_a_message(message: str, wanted: str) -> None:
    assert normal(message) == wanted


@pytest.mark.parametrize("unit", ["a", "a.", "/a", "'", "1", "# ", "a-", "A1", "0-", "a@", "not ", "\n", "spin ", "a:"])
def test_no_text_takes_long(unit: str) -> None:
    from qchive.diagnosis import diagnose

    before = time.process_time()
    diagnose("unknown_error", unit * (1_000_000 // len(unit)))
    assert time.process_time() - before < 1.0


@given(st.text(max_size=300), st.integers(20, 100))
def test_a_shortened_message_fits_and_still_tells(message: str, most: int) -> None:
    short = shortened(message, most)
    assert len(short) <= most
    assert short == message or telling(message)[: most // 2] in short
