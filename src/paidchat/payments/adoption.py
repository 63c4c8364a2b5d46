"""Adoption: posting a message that was paid for at Stripe but whose payment is missing, as after restoring a backup."""

import uuid
from dataclasses import dataclass

from paidchat.clients import client_id
from paidchat.domain import (
    Conflict,
    IntentFact,
    NotFound,
    Question,
    SessionFact,
    Verdict,
    amount_matches,
    is_payment_id,
)
from paidchat.payments.checkout import Checkout
from paidchat.payments.fulfilment import Fulfilment
from paidchat.payments.reconciler import Reconciler
from paidchat.pricing import Price
from paidchat.records import NewPayment, PaymentRecord
from paidchat.storage import queries
from paidchat.storage.database import Database
from paidchat.stripe.events import SessionTerms
from paidchat.stripe.gateway import RequestRefused, StripeGateway
from paidchat.stripe.parameters import taxed_params
from paidchat.text import clean_author, clean_text

SESSION_PREFIX = "cs_"


@dataclass(frozen=True, slots=True)
class Adopted:
    """The result of an adoption.

    Attributes:
        message_id: The message that the payment bought.
        is_new: Whether the payment was missing, and was created from the session and the given text.
        says_the_same: Whether the message has the given text and author.
    """

    message_id: int
    is_new: bool
    says_the_same: bool


@dataclass(frozen=True, slots=True)
class Adoption:
    """Posts messages that were paid for and are missing."""

    database: Database
    gateway: StripeGateway
    checkout: Checkout
    fulfilment: Fulfilment
    reconciler: Reconciler
    livemode: bool

    async def adopt(self, session_id: str, text: str, author: str | None) -> Adopted:
        """Post what a Checkout Session paid for. Idempotent: an existing payment keeps its text and is posted once.

        Raises:
            InvalidText: the text or the author breaks a rule.
            NotFound: Stripe has no such session.
            Conflict: the session is not this board's, or was not paid, or its money went back.
            GatewayError: Stripe could not be reached; a retry continues from there.
        """
        text, author = clean_text(text), clean_author(author)
        session, money = await _look_up(self.gateway, session_id, await self.fulfilment.new_question())
        tag = (await self.database.read(queries.read_board)).tag
        payment_id = _payment_of(session, tag, livemode=self.livemode)
        _check_money(session, money)
        is_new = False
        if await self.database.read(queries.find_payment, payment_id) is None:
            terms = await self.gateway.session_terms(session.session_id)
            new = _new_payment(payment_id, session, terms, client_id("", tag), text, author)
            is_new = await self.database.write(queries.insert_payment, new, unless_same="id") is not None
        payment, message_id = await self._fulfill(await self.checkout.find_payment(payment_id), session)
        return Adopted(message_id, is_new, (payment.text, payment.author) == (text, author))

    async def _fulfill(self, payment: PaymentRecord, session: SessionFact) -> tuple[PaymentRecord, int]:
        """Fulfill a payment; returns it with the id of its message."""
        if payment.session_id == session.session_id:
            # Ask Stripe again, now that the payment exists: its earlier answer about the money was not stored.
            await self.reconciler.ask(payment)
        elif await self.fulfilment.handle(session) is Verdict.DUPLICATE_PAYMENT:
            raise Conflict(
                "This payment was paid already, in another session. The money of this one is on its way back."
            )
        payment = await self.checkout.find_payment(payment.id)
        if payment.message_id is None:
            raise Conflict(f"The payment {payment.id} is in the database, but is {payment.status} and has no message.")
        return payment, payment.message_id


async def _look_up(
    gateway: StripeGateway, session_id: str, question: Question
) -> tuple[SessionFact, IntentFact | None]:
    if not session_id.startswith(SESSION_PREFIX):
        raise NotFound(f"{session_id!r} is not a Checkout Session's id: those begin with {SESSION_PREFIX}")
    try:
        return await gateway.retrieve_session(session_id, question)
    except RequestRefused as error:
        if error.code != "resource_missing":
            raise
        raise NotFound(f"Stripe does not know the session {session_id}, at least not in this mode.") from error


def _payment_of(session: SessionFact, tag: str, *, livemode: bool) -> str:
    """Return the id of the payment that a session of this board is for."""
    if session.board_tag != tag or session.payment_id is None or not is_payment_id(session.payment_id):
        raise Conflict(f"The session {session.session_id} is not this board's: it does not bear its tag.")
    if session.livemode != livemode:
        made, board = ("live", "test") if session.livemode else ("test", "live")
        raise Conflict(f"The session {session.session_id} was made in {made} mode, and this board is in {board} mode.")
    return session.payment_id


def _check_money(session: SessionFact, money: IntentFact | None) -> None:
    """Check that a session was paid and that the money was not sent back."""
    name = f"The session {session.session_id}"
    if session.payment_status != "paid":
        raise Conflict(f"{name} is not paid: Stripe says {session.payment_status}.")
    if money is not None and money.refunded:
        raise Conflict(f"{name} was refunded, so there is nothing to post for it.")
    if money is not None and money.disputed:
        raise Conflict(f"{name} is disputed, so there is nothing to post for it now.")


def _new_payment(
    payment_id: str, session: SessionFact, terms: SessionTerms, client: str, text: str, author: str | None
) -> NewPayment:
    """Return the payment that a session is for. Stripe has neither its text nor its author."""
    price = Price(amount=session.amount_subtotal or 0, currency=session.currency or "", taxed=terms.taxed)
    if not price.amount or not amount_matches(session, price):
        raise Conflict(f"The session {session.session_id} asks for another amount than its price, so it is not ours.")
    return NewPayment(
        id=payment_id,
        text=text,
        author=author,
        price=price,
        pinned_seconds=terms.pinned_seconds,
        created_at=terms.created_at,
        expires_at=terms.expires_at,
        client=client,
        stripe_key=str(uuid.uuid4()),
        stripe_params=taxed_params(taxed=terms.taxed),  # never sent: the session exists
        session_id=session.session_id,
    )
