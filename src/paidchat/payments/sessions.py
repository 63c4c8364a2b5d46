"""Opening a payment's Checkout Session at Stripe, at most one request at a time, and finding one again."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from paidchat.background import Supervisor
from paidchat.domain import LONGEST_OPEN
from paidchat.records import PaymentRecord
from paidchat.storage import clock, queries
from paidchat.storage.database import Database, DatabaseUnavailable
from paidchat.stripe.gateway import AttemptFailed, CheckoutSession, RequestRefused, StripeGateway
from paidchat.stripe.parameters import expiry_of, with_expiry

log = structlog.get_logger(__name__)

CLAIM_TTL = timedelta(seconds=30)  # how long one request may be asking Stripe before another may take over
RELEASE_RETRY_S = 0.5
# Stripe takes an expiry of 30 minutes to 24 hours from when *it* sees the request; leave it time to.
SHORTEST_SESSION = timedelta(minutes=32)
LONGEST_SESSION = timedelta(hours=24) - timedelta(minutes=2)
IDEMPOTENCY_KEY_TTL = timedelta(hours=23)  # Stripe may prune one after 24
CLOCKS_AGREE = timedelta(minutes=1)  # when they differ by less


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask Stripe for a payment's session, until it lapses; `until` is None if there is no need to ask."""

    payment_id: str
    until: datetime | None


def session_length(wanted: timedelta) -> timedelta:
    """Return how long a session may be open that is wanted to be open this long."""
    return min(max(wanted, SHORTEST_SESSION), LONGEST_SESSION)


def whole_seconds(time: datetime) -> datetime:
    """Return a time as Stripe counts it."""
    return time.replace(microsecond=0)


class CheckoutSessions:
    """Opens sessions. Whatever is asked of Stripe was stored with the payment first, so it can be asked again."""

    def __init__(self, database: Database, gateway: StripeGateway, background: Supervisor) -> None:
        self._database = database
        self._gateway = gateway
        self._background = background

    def expiry(self, now: datetime, lasts: timedelta) -> datetime:
        """Return when a session that is opened now expires, by Stripe's clock.

        That clock decides what expiry Stripe takes. Ours is as good unless the two clearly differ.
        """
        stripe_now = self._gateway.clock.now()
        return whole_seconds((stripe_now if abs(stripe_now - now) > CLOCKS_AGREE else now) + lasts)

    async def open(self, payment: PaymentRecord, claim: Claim) -> None:
        """Ask Stripe for a payment's session and store it, which releases the claim; so does any failure.

        Raises:
            GatewayError: Stripe refused, or could not be asked.
        """
        await self._open(payment, claim, anew_if_late=True)

    async def recover(self, payment: PaymentRecord) -> str | None:
        """Return the id of a session that was asked for and never stored, by asking for it again.

        A payment that has none and can have none any more becomes `expired`. None also if the claim is held.

        Raises:
            GatewayError: Stripe refused, or could not be asked.
        """
        async with self._database.transaction() as connection:
            until = await queries.claim_payment(connection, payment.id, CLAIM_TTL)
        if until is None:
            return None
        claim = Claim(payment.id, until)
        if payment.read_at - payment.created_at > IDEMPOTENCY_KEY_TTL:
            # Stripe may have forgotten the key, and would make another session. An unseen first one has expired.
            async with self.releasing(claim):
                await self.expire(payment)
            return None
        session = await self._open(payment, claim, anew_if_late=False)
        return None if session is None else session.id

    async def _open(self, payment: PaymentRecord, claim: Claim, *, anew_if_late: bool) -> CheckoutSession | None:
        """Ask for the session and store it. If Stripe refuses the expiry, ask for another one, or give the payment up.

        A session that was made before would have been replayed, so there is none when Stripe refuses.
        """
        async with self.releasing(claim):
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
            await self._store(payment.id, session_id=session.id, checkout_url=session.url, claimed_until=None)
            return session

    async def expire(self, payment: PaymentRecord) -> None:
        """Give a payment up that has no session. Money that arrives all the same still wins."""
        async with self._database.transaction() as connection:
            await queries.expire_payment(connection, payment.id)

    async def _create(self, payment_id: str, params: Mapping[str, object], key: str) -> CheckoutSession:
        try:
            return await self._gateway.create_session(params, key)
        except AttemptFailed:
            # Stripe would replay this failure to the same key for a day.
            await self._store(payment_id, stripe_key=str(uuid.uuid4()))
            raise

    async def _create_anew(self, payment: PaymentRecord, now: datetime) -> CheckoutSession:
        """Ask with another expiry: Stripe did not take the first, which came too late or from a clock that was wrong.

        A refused request is not remembered, and had Stripe seen the first before it would have replayed its answer:
        so there is no session yet, and a new key is safe. Everything else stays as it was when the payment was made,
        whatever the settings are by now: the payer was promised that.
        """
        key, lasts = str(uuid.uuid4()), session_length(payment.expires_at - payment.created_at)
        params = with_expiry(payment.stripe_params, self.expiry(now, lasts))
        await self._store(payment.id, stripe_key=key, stripe_params=params, expires_at=whole_seconds(now + lasts))
        return await self._create(payment.id, params, key)

    def _left(self, payment: PaymentRecord, now: datetime) -> timedelta:
        """Return how far off the expiry in a payment's request is, by Stripe's clock."""
        return expiry_of(payment.stripe_params) - self.expiry(now, timedelta(0))

    async def _now(self) -> datetime:
        async with self._database.reading() as connection:
            return await clock.read(connection)

    async def _store(self, payment_id: str, **values: Any) -> None:
        async with self._database.transaction() as connection:
            await queries.update_payment(connection, payment_id, **values)

    # --- claims -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def releasing(self, claim: Claim) -> AsyncIterator[None]:
        """Release a claim if the block fails, so that whoever asks next need not wait for it to lapse."""
        try:
            yield
        except BaseException:
            if claim.until is not None and not await self._release(claim.payment_id, claim.until):
                release = partial(self._keep_releasing, claim.payment_id, claim.until)
                self._background.run_once(f"release {claim.payment_id}", release)
            raise

    async def _keep_releasing(self, payment_id: str, until: datetime) -> None:
        """Try to release a claim until it would lapse; what made its request fail may last."""
        for _ in range(int(CLAIM_TTL.total_seconds() / RELEASE_RETRY_S)):
            await asyncio.sleep(RELEASE_RETRY_S)
            if await self._release(payment_id, until):
                return

    async def _release(self, payment_id: str, until: datetime) -> bool:
        try:
            async with self._database.transaction() as connection:
                await queries.release_claim(connection, payment_id, until)
        except DatabaseUnavailable:
            return False
        return True
