"""The rules for texts at the API: the table of cases, and a bounded cost before the length is known."""

import json
import time

import httpx
import pytest

from tests.support.board_client import http_client
from tests.support.served import Served
from tests.support.text_cases import TextCase, text_cases

MAX_BODY = 64 * 1024


def body_of(case: TextCase) -> bytes:
    """Return the request's body, in ASCII so that lone surrogates can be sent."""
    return json.dumps({"text": "Hello", case.field: case.raw}).encode()


@pytest.mark.any_database
async def test_what_breaks_a_rule_is_a_422(board: Served) -> None:
    """Each refused case of the table is 422, names its field, and does not echo the input."""
    async with http_client(board) as http:
        for case in (case for case in text_cases() if not case.is_accepted):
            answer = await post(http, body_of(case))
            assert answer.status_code == 422, case
            assert [error["field"] for error in answer.json()["errors"]] == [case.field], case
            assert answer.text.isascii(), case


async def test_what_keeps_the_rules_is_stored(board: Served) -> None:
    """The database stores accepted cases in the form that the table gives."""
    async with http_client(board) as http:
        for case in [case for case in text_cases() if case.is_accepted][::4]:
            answer = await post(http, body_of(case))
            assert answer.status_code == 201, case
            assert answer.json()[case.field] == case.stored, case


@pytest.mark.any_database
@pytest.mark.parametrize("field", ["text", "author"])
async def test_a_body_of_marks_costs_nothing(board: Served, field: str) -> None:
    """A body full of combining marks in the wrong order is refused for its length, before it is normalised."""
    marks = "a" + "\u0300" * 15_900 + "\u0316" * 15_900
    body = json.dumps({"text": "Hello", field: marks}, ensure_ascii=False).encode()
    assert len(body) < MAX_BODY
    async with http_client(board) as http:
        began = time.process_time()  # the board runs in this process
        for _ in range(10):
            answer = await post(http, body)
            assert answer.status_code == 422
            assert "2000" in answer.text or "200" in answer.text
        assert time.process_time() - began < 10  # it was 20 to 50 s


async def post(http: httpx.AsyncClient, body: bytes) -> httpx.Response:
    """Start a payment."""
    return await http.post("/api/payments", content=body, headers={"Content-Type": "application/json"})
