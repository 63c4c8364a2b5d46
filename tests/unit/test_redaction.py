"""What the log keeps of its values: no secret, whole or in part, and never more than a limited size."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from paidchat import redaction
from paidchat.observability import configure_logging

PIECES = (
    "sk_test_",
    "rk_live_",
    "RK_live_",
    "whsec_",
    "x",
    "a@b.c",
    "%40",
    "a.b",
    "Bearer ",
    "bEARER\t",
    "BEARER",
    "\n",
    " ",
)

LIMIT = 2048
CANARY = "canary77"
SECRETS = {
    "a secret key": f"sk_test_{CANARY}",
    "a restricted key": f"rk_live_{CANARY}",
    "a signing secret": f"whsec_{CANARY}/+=",
    "a bearer token": f"Bearer {CANARY}/{CANARY}",
    "a token in lower case": f"bearer  {CANARY}",
    "an address": f"{CANARY}.{CANARY}@mail-1.{CANARY}.example",
    "an address in a URL": f"{CANARY}%40{CANARY}.example",
    "an address of odd letters": f"{CANARY}'o+{CANARY}@{CANARY}-x.{CANARY}-y.example",
}
BEFORE = {"nothing": "", "a newline's escape": "\\n", "a quote": "'", "words": "said: "}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The output of the log, which is configured as a board's is."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    configure_logging("json")
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers, root.level = handlers, level
    structlog.configure(**config)


def write(logged: io.StringIO, **values: Any) -> dict[str, Any]:
    """Log these values, and return the output."""
    structlog.get_logger("test").warning("event", **values)
    line = json.loads(logged.getvalue().splitlines()[-1])
    assert isinstance(line, dict)
    return line


def fail(said: str, cause: Exception | None) -> None:
    """Raise an error with a cause, inside a nested call."""
    raise ValueError(said) from cause


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_redacted_wherever_they_stand(logged: io.StringIO, secret: str, before: str) -> None:
    """A secret is not logged as a value, in a list, as a key, in bytes, in an exception or in its traceback."""
    text = f"{before}{secret} after"
    write(logged, value=text, nested={text: [text, {"deep": (text, {text})}]}, raw=text.encode(), error=OSError(text))
    write(logged, **{text: 1})
    logging.getLogger("library").warning("said %s", text)
    try:
        int(text)
    except ValueError:
        structlog.get_logger("test").exception(text)
    assert "Traceback" in logged.getvalue()
    assert "[redacted]" in logged.getvalue()
    assert CANARY not in logged.getvalue()


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_nothing_is_left_of_a_secret_at_the_cut(logged: io.StringIO, secret: str) -> None:
    """A long string is truncated; if the cut goes through a secret, no useful part of the secret remains."""
    for filler in ("word ", "x"):
        for shift in range(len(secret) + 3):
            start = LIMIT - shift
            text = (filler * LIMIT)[: start - 1] + " " + secret + " and more" * LIMIT
            write(logged, value=text, raw=text.encode(), of_two_bytes=("é " * 9 + text).encode())
    assert CANARY[:4] not in logged.getvalue()


def test_a_long_string_is_cut(logged: io.StringIO) -> None:
    """A string over 2,048 characters is logged as its beginning and its length."""
    words = "word " * 10_000
    value = write(logged, value=words)["value"]
    assert value == words[: len(value) - len("… (50000 characters)")] + "… (50000 characters)"
    assert LIMIT - 10 < len(value) < LIMIT + 30
    assert write(logged, value="x" * LIMIT)["value"] == "x" * LIMIT
    assert write(logged, value="x" * 100_000)["value"] == "… (100000 characters)"


def test_what_is_logged_is_bounded(logged: io.StringIO) -> None:
    """Depth, the number of items and the size of integers are limited, and the log says what was left out."""
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    wide = {str(number): list(range(1000)) for number in range(1000)}
    line = write(logged, deep=deep, wide=wide, huge=10**5000, raw=b"x" * 10**6, same={"a": 1, "b": [None, 1.5, True]})
    assert line["deep"] == [[[[[["…"]]]]]]
    assert line["wide"]["0"][-1] == "… (1000 in all)"
    assert line["huge"] == "… (an integer of 16610 bits)"
    assert line["same"] == {"a": 1, "b": [None, 1.5, True]}
    assert len(logged.getvalue()) < 20_000


@pytest.mark.parametrize(
    "value", ["plain", "é\x9b", "\ud800", "\x1b[31m\n", 2**200, -(2**65), float("inf"), None, "x" * 5000]
)
def test_every_entry_is_a_line_of_ascii(logged: io.StringIO, value: Any) -> None:
    """Whatever is logged is one line of JSON that no terminal acts on, and reads as what was logged."""
    line = write(logged, value=value, other="words")
    assert line["other"] == "words"
    assert isinstance(value, float) or line["value"] == value or len(value) > LIMIT
    assert logged.getvalue().isascii()
    assert logged.getvalue().strip("\n").isprintable()


def test_a_traceback_keeps_both_ends(logged: io.StringIO) -> None:
    """Of a long traceback the first and last lines are logged, each truncated like any string."""
    error = None
    for number in range(20):
        try:
            fail(f"number {number} " + "words " * 10_000, error)
        except ValueError as caught:
            error = caught
    structlog.get_logger("test").error("event", exc_info=error)
    exception = json.loads(logged.getvalue())["exception"]
    assert exception.startswith("Traceback")
    assert "number 0 words" in exception
    assert "number 10 words" not in exception
    assert "lines)\n" in exception
    assert exception.endswith("words … (60022 characters)")
    assert len(exception) < 30_000


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=8).map("".join))
def test_no_secret_is_passed_over(text: str) -> None:
    """Texts that are not searched, because they lack what every secret has, contain none."""
    assert redaction.redact_text(text) == redaction._SECRETS.sub("[redacted]", text)
