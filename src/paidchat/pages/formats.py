"""Formats: times and prices as documents show them. They are the same for every reader, so in UTC."""

from datetime import datetime
from typing import Final

from pydantic_core import to_json

from paidchat import wire
from paidchat.pages.money import format_price

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def utc(time: datetime) -> str:
    """Return a time in words, such as `Nov 3, 2026, 09:05 UTC`."""
    return f"{_MONTHS[time.month - 1]} {time.day}, {time.year}, {time:%H:%M} UTC"


def iso(time: datetime) -> str:
    """Return a time as it is written in JSON."""
    return to_json(time).decode().strip('"')


def price_of(message: wire.Message) -> str:
    """Return what was paid for a message."""
    return format_price(message.amount, message.currency)
