"""The board on FastAPI and SQLModel, as people commonly write it; its database is the file in DATABASE."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import stripe
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from sqlalchemy import event, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]
PAGE = 50
engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['DATABASE']}", connect_args={"timeout": 30})


@event.listens_for(engine.sync_engine, "connect")
def prepare(connection: Any, _record: Any) -> None:
    """Make every commit wait for the disk."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


class Board(SQLModel, table=True):
    """One row: the head of the log."""

    id: int = Field(primary_key=True)
    epoch: str
    seq: int


class Payment(SQLModel, table=True):
    """One payment for one message."""

    id: str = Field(primary_key=True)
    status: str
    paid: bool
    text: str
    author: str | None
    amount: int
    currency: str
    payment_intent: str | None


class MessageRead(SQLModel):
    """A message, as it is sent."""

    id: int
    text: str
    author: str | None
    amount: int
    currency: str
    posted_at: datetime
    pinned_until: datetime | None


class Message(SQLModel, table=True):
    """A message, as it is stored."""

    id: int = Field(primary_key=True)
    payment_id: str
    text: str
    author: str | None
    amount: int
    currency: str
    posted_at: datetime
    pinned_until: datetime | None = None
    moderated: bool = False
    hidden: bool = False


class LogEntry(SQLModel, table=True):
    """One change to the board."""

    __tablename__ = "log_entry"

    seq: int = Field(primary_key=True)
    kind: str
    message_id: int
    at: datetime


class StripeEvent(SQLModel, table=True):
    """An event that was handled."""

    __tablename__ = "stripe_event"

    id: str = Field(primary_key=True)
    type: str
    payment_id: str
    session_id: str
    verdict: str
    received_at: datetime


class Page(SQLModel):
    """The newest messages."""

    messages: list[MessageRead]
    seq: int
    epoch: str
    has_more: bool


class Snapshot(Page):
    """The first frame of the feed."""

    type: str = "snapshot"


class Posted(SQLModel):
    """A frame about a new message."""

    type: str = "message.posted"
    seq: int
    message: MessageRead


class Tier(SQLModel):
    """What one can pay, and for how long the message stays on top then."""

    amount: int
    pinned_seconds: int


class Price(SQLModel):
    """What one message costs."""

    amount: int
    currency: str
    tiers: list[Tier]


class BoardInfo(SQLModel):
    """What a page needs to know."""

    title: str
    price: Price
    tax_behavior: str | None
    max_text_length: int
    max_author_length: int
    test_mode: bool


async def get_session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Close the engine at the end."""
    yield
    await engine.dispose()


Session = Annotated[AsyncSession, Depends(get_session)]
app = FastAPI(lifespan=lifespan)
viewers: list[WebSocket] = []
writing = asyncio.Lock()  # SQLite has one writer, and viewers need the messages in order


async def newest(session: AsyncSession) -> Page:
    """Read the newest messages, oldest first."""
    found = await session.exec(select(Message).where(~col(Message.hidden)).order_by(col(Message.id).desc()).limit(51))
    rows = found.all()
    board = (await session.exec(select(Board))).one()
    messages = [MessageRead.model_validate(row, from_attributes=True) for row in reversed(rows[:PAGE])]
    return Page(messages=messages, seq=board.seq, epoch=board.epoch, has_more=len(rows) > PAGE)


async def post(session: AsyncSession, received: Any) -> Message | None:
    """Post a paid message in one transaction; returns None if there is nothing to post."""
    checkout = received.data.object
    payment_id = checkout.metadata["paidchat_payment"]
    now = datetime.now(UTC)
    session.add(
        StripeEvent(
            id=received.id,
            type=received.type,
            payment_id=payment_id,
            session_id=checkout.id,
            verdict="applied",
            received_at=now,
        )
    )
    try:
        await session.flush()
    except IntegrityError:
        await session.rollback()
        return None
    pending = (col(Payment.id) == payment_id, col(Payment.status) == "pending")
    moved = (
        update(Payment).where(*pending).values(status="fulfilled", paid=True, payment_intent=checkout.payment_intent)
    )
    if (await session.exec(moved)).rowcount == 0:
        await session.commit()
        return None
    payment = (await session.exec(select(Payment).where(Payment.id == payment_id))).one()
    seq = (await session.exec(update(Board).values(seq=Board.seq + 1).returning(col(Board.seq)))).scalar_one()
    message = Message(
        id=seq,
        payment_id=payment_id,
        text=payment.text,
        author=payment.author,
        amount=payment.amount,
        currency=payment.currency,
        posted_at=now,
    )
    session.add(message)
    await session.flush()
    session.add(LogEntry(seq=seq, kind="posted", message_id=seq, at=now))
    await session.commit()
    return message


async def broadcast(message: Message) -> None:
    """Send a new message to every viewer."""
    read = MessageRead.model_validate(message, from_attributes=True)
    frame = Posted(seq=message.id, message=read).model_dump_json()
    for viewer in list(viewers):
        try:
            await viewer.send_text(frame)
        except (RuntimeError, WebSocketDisconnect):
            viewers.remove(viewer)


@app.post("/stripe/webhook")
async def receive_event(request: Request, session: Session) -> dict[str, bool]:
    """Receive an event from Stripe."""
    payload = await request.body()
    try:
        received = stripe.Webhook.construct_event(payload, request.headers["stripe-signature"], SECRET)
    except (ValueError, stripe.SignatureVerificationError) as error:
        raise HTTPException(400, str(error)) from error
    if received.type == "checkout.session.completed":
        async with writing:
            message = await post(session, received)
            if message is not None:
                await broadcast(message)
    return {"received": True}


@app.get("/api/messages")
async def list_messages(session: Session) -> Page:
    """Read the newest messages."""
    return await newest(session)


@app.get("/api/board")
async def read_board() -> BoardInfo:
    """Read about the board."""
    return BoardInfo(
        title="paidchat",
        price=Price(amount=100, currency="usd", tiers=[Tier(amount=100, pinned_seconds=0)]),
        tax_behavior=None,
        max_text_length=500,
        max_author_length=50,
        test_mode=True,
    )


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that it is running."""
    return {"status": "ok"}


@app.websocket("/api/feed")
async def feed(viewer: WebSocket) -> None:
    """Send a snapshot, then every new message."""
    await viewer.accept()
    async with AsyncSession(engine) as session:
        page = await newest(session)
    await viewer.send_text(Snapshot(**page.model_dump()).model_dump_json())
    viewers.append(viewer)
    try:
        while True:
            await viewer.receive_text()
    except WebSocketDisconnect:
        if viewer in viewers:
            viewers.remove(viewer)


if __name__ == "__main__":
    print("the peer is ready", flush=True)
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False)
