"""The flow with a client that openapi-python-client generates: python loop.py http://localhost:8000."""

import sys
import time
import uuid

import httpx
from generated.python import Client
from generated.python.api.board import get_message
from generated.python.api.payments import create_payment, get_payment
from generated.python.models import Message, NewPayment, NotFoundProblem, Payment, PaymentStatus

PATIENCE_S = 10


def pay(board: str, payment: Payment) -> None:
    """Pay in the sandbox, as a person would at `checkout_url`."""
    session = str(payment.checkout_url).rpartition("/")[2]
    httpx.post(f"{board}/sandbox/test/sessions/{session}/pay", trust_env=False).raise_for_status()


def message_of(client: Client, payment: Payment) -> int:
    """Wait for the payment's message, and return its id."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = get_payment.sync(payment.id, client=client)
        if isinstance(found, Payment) and found.status is PaymentStatus.FULFILLED and found.message_id is not None:
            return found.message_id
        time.sleep(0.1)
    raise TimeoutError("the payment was not fulfilled")


def main(board: str) -> None:
    """Pay for a message and read it back."""
    text = f"By openapi-python-client {uuid.uuid4()}"
    with Client(board, httpx_args={"trust_env": False}) as client:
        payment = create_payment.sync(client=client, body=NewPayment(text=text), idempotency_key=str(uuid.uuid4()))
        assert isinstance(payment, Payment), payment
        pay(board, payment)
        message = get_message.sync(message_of(client, payment), client=client)
        assert isinstance(message, Message), message
        assert message.text == text
        assert isinstance(get_payment.sync("unknown", client=client), NotFoundProblem)
    print(f"message {message.id}: {message.text}")


if __name__ == "__main__":
    main(sys.argv[1])
