"""Markup: HTML built from templates; every inserted value is escaped unless it is markup itself."""

from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Formatter
from typing import Any

_TEMPLATES = Path(__file__).parent / "templates"


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


class _Escaping(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Markup):
            return str(value)
        return escape(format(value, format_spec), quote=True)


_FORMATTER = _Escaping()


def html(template: str, **values: object) -> Markup:
    """Fill a template's `{names}`; plain values are escaped for text and for quoted attributes."""
    return Markup(_FORMATTER.vformat(template, (), values))


def join(parts: Iterable[Markup]) -> Markup:
    """Concatenate markup."""
    return Markup("".join(parts))


def checked(holds: bool) -> Markup:
    """Return the attribute of a box or a choice that is ticked, or nothing."""
    return Markup(" checked" if holds else "")


@cache
def template(name: str) -> str:
    """Return a template of this package."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")
