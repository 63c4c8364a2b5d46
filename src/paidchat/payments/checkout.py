"""Checkout: starting and finding payments."""

import hashlib
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from msgspec import structs
from sqlalchemy.engine import Connection

from paidchat.clients import client_id
from paidchat.domain import (
    DomainError,
    IdempotencyConflict,
    IdempotencyInProgress,
    InvalidAmount,
    NotFound,
    PaymentStatus,
    ProviderUnavailable,
    is_payment_id,
)
from paidchat.observability import Metrics
from paidchat.payments.rate_limit import PaymentLimits
from paidchat.payments.sessions import CLAIM_TTL, CheckoutSessions, Claim, session_length, whole_seconds
from paidchat.pricing import Tier
from paidchat.records import NewPayment, PaymentRecord
from paidchat.settings import Settings
from paidchat.storage import claims, clock, queries
from paidchat.storage.database import Database
from paidchat.stripe.gateway import AccessDenied, GatewayError, RequestRefused
from paidchat.stripe.parameters import session_params
from paidchat.text import clean_author, clean_text

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A payment that a client wants to start: its text and author are clean, its key and client are hashes.

    `amount` is as the client sent it, and `tier` the one of today that has it, if there is one.
    """

    text: str
    author: str | None
    amount: int | None
    tier: Tier | None
    key: str | None
    client: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A payment that was started now or before, and the right to create its session, unless it has one."""

    payment: PaymentRecord
    claim: Claim | None = None
    is_new: bool = False


class Checkout:
    """Starts payments: at most one per Idempotency-Key, within the limits on rate and number."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        limits: PaymentLimits,
        metrics: Metrics,
        sessions: CheckoutSessions,
        board_tag: str,
    ) -> None:
        self._settings = settings
        self._tiers = settings.price_tiers
        self._limits = limits
        self._metrics = metrics
        self._database = database
        self._sessions = sessions
        self._board_tag = board_tag

    async def start_checkout(
        self,
        text: str,
        author: str | None,
        amount: int | None = None,
        *,
        client: str,
        idempotency_key: str | None = None,
    ) -> PaymentRecord:
        """Create a payment and its Checkout Session, or return the payment created before with this key.

        The amount is that of a tier, or None for the price. With a key that was used before, it is what was sent then,
        whatever the tiers are today.

        The payment and the whole request to Stripe are stored before the request is sent, so whatever happens in
        between, a retry sends the same request and gets the same session.

        Raises:
            InvalidText: the text or the author breaks a rule.
            InvalidAmount: no tier has this amount.
            IdempotencyConflict: the key was used with another text, author or amount.
            IdempotencyInProgress: the first request with the key is still in flight.
            RateLimited: the client starts payments too fast. An existing payment is still returned.
            ProviderUnavailable: Stripe could not be reached; a retry with the key continues with the same payment.
        """
        text, author = clean_text(text), clean_author(author)
        key = None if idempotency_key is None else hashlib.sha256(idempotency_key.encode()).hexdigest()
        tier = self._tier_of(amount)
        if key is None:
            self._check_tier(tier)
        wanted = _Wanted(text, author, amount, tier, key, client_id(client, self._board_tag))
        [found] = await self._database.write_together(self._claim_all, [wanted])
        if isinstance(found, DomainError):
            raise found
        if found.is_new:  # counted here: the function may run more than once before it is committed
            self._metrics.payments.inc()
        if found.claim is None or found.payment.status != PaymentStatus.PENDING:
            return found.payment
        try:
            return await self._sessions.open(found.payment, found.claim)
        except GatewayError as error:
            raise self._unavailable(found.payment, error) from error

    def _claim_all(self, connection: Connection, all_wanted: Sequence[_Wanted]) -> list[_Found | DomainError]:
        """Find or insert the payments that are wanted at once; a refusal of one is its result."""
        self._limits.lock(connection, {wanted.client for wanted in all_wanted})
        found: list[_Found | DomainError] = []
        for wanted in all_wanted:
            try:
                found.append(self._claim(connection, wanted))
            except DomainError as refusal:  # nothing was written for it
                found.append(refusal)
        return found

    def _claim(self, connection: Connection, wanted: _Wanted) -> _Found:
        """Find the payment with this key or insert a new one, and claim it unless it already has its session."""
        known = queries.find_payment_by_key(connection, wanted.key) if wanted.key else None
        if known is None:
            tier = self._check_tier(wanted.tier)
            self._limits.admit(connection, wanted.client)
            now = clock.read(connection)
            inserted = queries.insert_payment(connection, self._new_payment(wanted, tier, now))
            if inserted is not None:
                return _Found(inserted, Claim(inserted.id, now + CLAIM_TTL), is_new=True)
            known = queries.find_payment_by_key(connection, wanted.key or "")
        if known is None or _body_of(known) != (wanted.text, wanted.author, wanted.amount):
            raise IdempotencyConflict("This Idempotency-Key was used before, with another body. Use a new key.")
        if known.session_id is not None:
            return _Found(known)
        until = claims.claim_payment(connection, known.id, CLAIM_TTL)
        if until is None:
            raise IdempotencyInProgress(retry_after=_estimate(known))
        return _Found(known, Claim(known.id, until))

    def _tier_of(self, amount: int | None) -> Tier | None:
        """Return today's tier with this amount; None means the price."""
        if amount is None:
            return self._tiers[0]
        return next((tier for tier in self._tiers if tier.amount == amount), None)

    def _check_tier(self, tier: Tier | None) -> Tier:
        """Return the tier of a new payment.

        Raises:
            InvalidAmount: there is none.
        """
        if tier is None:
            raise InvalidAmount(
                f"Must be left out, or one of: {', '.join(str(known.amount) for known in self._tiers)}."
            )
        return tier

    def _new_payment(self, wanted: _Wanted, tier: Tier, now: datetime) -> NewPayment:
        payment_id, price = str(uuid.uuid4()), structs.replace(self._settings.price, amount=tier.amount)
        lasts = session_length(timedelta(minutes=self._settings.checkout_minutes))
        session_expires_at = self._sessions.expiry(now, lasts)  # by Stripe's clock
        return NewPayment(
            id=payment_id,
            text=wanted.text,
            author=wanted.author,
            price=price,
            requested_amount=wanted.amount,
            pinned_seconds=tier.pinned_seconds,
            created_at=now,
            expires_at=whole_seconds(now + lasts),
            client=wanted.client,
            stripe_key=str(uuid.uuid4()),
            stripe_params=session_params(
                self._settings,
                payment_id,
                self._board_tag,
                wanted.text,
                price,
                session_expires_at,
                pinned_seconds=tier.pinned_seconds,
            ),
            idempotency_key=wanted.key,
            claimed_until=now + CLAIM_TTL,
        )

    def _unavailable(self, payment: PaymentRecord, error: GatewayError) -> ProviderUnavailable:
        if isinstance(error, RequestRefused | AccessDenied):
            # A retry cannot help: an API key, a tax setting or a parameter is wrong.
            log.error("stripe.refused", payment_id=payment.id, error=str(error))
            return ProviderUnavailable("Payments are not set up correctly here. Nothing was charged.", retry_after=60)
        log.warning("stripe.unavailable", payment_id=payment.id, error=str(error))
        return ProviderUnavailable("The payment provider does not answer. Nothing was charged; please try again.")

    async def find_payment(self, payment_id: str) -> PaymentRecord:
        """Return a payment as it is now.

        Raises:
            NotFound: there is none with this id.
        """
        payment = None
        if is_payment_id(payment_id):
            payment = await self._database.read(queries.find_payment, payment_id)
        if payment is None:
            raise NotFound("There is no such payment.")
        return payment


def _body_of(payment: PaymentRecord) -> tuple[str, str | None, int | None]:
    """Return what a request must say again to get this payment by its key."""
    return payment.text, payment.author, payment.requested_amount


def _estimate(payment: PaymentRecord) -> int:
    """Return in how many seconds to retry for a payment that another request has claimed.

    Stripe usually responds within a second, so at first that is one, and then as long as the claim has lasted so far.
    """
    left = (payment.claimed_until or payment.read_at) - payment.read_at
    return max(1, math.ceil(min(left, CLAIM_TTL - left).total_seconds()))
