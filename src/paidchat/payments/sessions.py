"""Checkout Sessions: creating one at Stripe, with at most one request at a time per payment, and recovering one."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy.engine import Connection

from paidchat.background import Supervisor, finish
from paidchat.domain import LONGEST_OPEN
from paidchat.records import PaymentRecord
from paidchat.storage import claims, clock, queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.stripe.gateway import AttemptFailed, CheckoutSession, RequestRefused, StripeGateway
from paidchat.stripe.parameters import expiry_of, with_expiry

log = structlog.get_logger(__name__)

CLAIM_TTL = timedelta(seconds=30)  # how long one request may ask Stripe before another may take over
RELEASE_RETRY_S = 0.5
# Stripe accepts an expiry of 30 minutes to 24 hours after *it* receives the request; allow for the delay.
SHORTEST_SESSION = timedelta(minutes=32)
LONGEST_SESSION = timedelta(hours=24) - timedelta(minutes=2)
IDEMPOTENCY_KEY_TTL = timedelta(hours=23)  # Stripe may prune keys after 24
CLOCKS_AGREE = timedelta(minutes=1)  # ours and Stripe's, if they differ by less


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask Stripe for a payment's session until it expires."""

    payment_id: str
    until: datetime


def session_length(wanted: timedelta) -> timedelta:
    """Return a session's length, as near to the wanted one as Stripe allows."""
    return min(max(wanted, SHORTEST_SESSION), LONGEST_SESSION)


def whole_seconds(time: datetime) -> datetime:
    """Return a time in whole seconds, as Stripe counts."""
    return time.replace(microsecond=0)


class CheckoutSessions:
    """Creates sessions. The request was stored with the payment first, so it can be repeated."""

    def __init__(self, database: Database, gateway: StripeGateway, background: Supervisor) -> None:
        self._database = database
        self._gateway = gateway
        self._background = background

    def expiry(self, now: datetime, lasts: timedelta) -> datetime:
        """Return when a session that is created now expires, by Stripe's clock.

        Stripe checks the expiry by its clock. Ours is used unless the two clearly differ.
        """
        stripe_now = self._gateway.clock.now()
        return whole_seconds((stripe_now if abs(stripe_now - now) > CLOCKS_AGREE else now) + lasts)

    async def open(self, payment: PaymentRecord, claim: Claim) -> PaymentRecord:
        """Create a payment's session at Stripe, store it and return the payment. Success and failure release the claim.

        Raises:
            GatewayError: Stripe rejected the request or could not be reached.
        """
        opened = await self._open(payment, claim, anew_if_late=True)
        assert opened is not None  # noqa: S101 - only `recover` lets a payment expire
        return opened

    async def recover(self, payment: PaymentRecord) -> str | None:
        """Return the id of a session that was requested but never stored, by repeating the request.

        Returns None if there can be no session any more, which makes the payment `expired`, or if the claim is held.

        Raises:
            GatewayError: Stripe rejected the request or could not be reached.
        """
        until = await self._database.write(claims.claim_payment, payment.id, CLAIM_TTL)
        if until is None:
            return None
        claim = Claim(payment.id, until)
        if payment.read_at - payment.created_at > IDEMPOTENCY_KEY_TTL:
            # Stripe may have pruned the key and would create a second session. The first has expired by now.
            async with self.releasing_on_failure(claim):
                await self.expire(payment)
            return None
        opened = await self._open(payment, claim, anew_if_late=False)
        return None if opened is None else opened.session_id

    async def _open(self, payment: PaymentRecord, claim: Claim, *, anew_if_late: bool) -> PaymentRecord | None:
        """Create the session and store it. If Stripe rejects the expiry, try another one or let the payment expire.

        Stripe would have replayed a session created before, so if it rejects the request, there is none.
        """
        async with self.releasing_on_failure(claim):
            try:
                session = await self._create(payment.id, payment.stripe_params, payment.stripe_key)
            except RequestRefused:
                now = await self._now()
                left = self._left(payment, now)
                if anew_if_late and not SHORTEST_SESSION - CLAIM_TTL < left < LONGEST_OPEN:
                    session = await self._create_anew(payment, now)
                elif not anew_if_late and left < SHORTEST_SESSION:
                    await self.expire(payment)
                    return None
                else:
                    raise
            return await self._store(payment.id, session_id=session.id, checkout_url=session.url, claimed_until=None)

    async def expire(self, payment: PaymentRecord) -> None:
        """Mark a payment without a session as expired. Money that still arrives is accepted."""
        await self._database.write(queries.expire_payment, payment.id)

    async def _create(self, payment_id: str, params: Mapping[str, object], key: str) -> CheckoutSession:
        try:
            return await self._gateway.create_session(params, key)
        except AttemptFailed:
            # Stripe would replay this failure to the same key for a day.
            await self._store(payment_id, stripe_key=str(uuid.uuid4()))
            raise

    async def _create_anew(self, payment: PaymentRecord, now: datetime) -> CheckoutSession:
        """Try another expiry: Stripe rejected the first, which was sent too late or came from a wrong clock.

        Stripe doesn't store rejected requests and would have replayed an earlier success, so there is no session yet
        and a new key is safe. Everything else stays as it was when the payment was created, whatever the settings are
        now: that is what the payer was promised.
        """
        key, lasts = str(uuid.uuid4()), session_length(payment.expires_at - payment.created_at)
        params = with_expiry(payment.stripe_params, self.expiry(now, lasts))
        await self._store(payment.id, stripe_key=key, stripe_params=params, expires_at=whole_seconds(now + lasts))
        return await self._create(payment.id, params, key)

    def _left(self, payment: PaymentRecord, now: datetime) -> timedelta:
        """Return the time left until the expiry in a payment's request, by Stripe's clock."""
        return expiry_of(payment.stripe_params) - self.expiry(now, timedelta(0))

    async def _now(self) -> datetime:
        return await self._database.read(clock.read)

    async def _store(self, payment_id: str, **values: Any) -> PaymentRecord:
        return await self._database.write(_update, payment_id, **values)

    # --- claims -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def releasing_on_failure(self, claim: Claim) -> AsyncIterator[None]:
        """Release a claim if the block fails, so that the next request need not wait for it to expire."""
        try:
            yield
        except BaseException:
            if not await finish(self._release(claim.payment_id, claim.until)):
                release = partial(self._keep_releasing, claim.payment_id, claim.until)
                self._background.run_once(f"release {claim.payment_id}", release)
            raise

    async def _keep_releasing(self, payment_id: str, until: datetime) -> None:
        """Retry releasing a claim until it would expire anyway; an outage may last."""
        for _ in range(int(CLAIM_TTL.total_seconds() / RELEASE_RETRY_S)):
            await asyncio.sleep(RELEASE_RETRY_S)
            if await self._release(payment_id, until):
                return

    async def _release(self, payment_id: str, until: datetime) -> bool:
        try:
            await self._database.write(claims.release_claim, payment_id, until)
        except DatabaseUnavailable:
            return False
        return True


def _update(connection: Connection, payment_id: str, /, **values: Any) -> PaymentRecord:
    queries.update_payment(connection, payment_id, **values)
    return queries.get_payment(connection, payment_id)
