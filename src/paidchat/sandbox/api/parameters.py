"""Kinds of request parameters: each converts the decoded form value, or refuses it as Stripe does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from paidchat.sandbox import errors

_MAX_INTEGER_DIGITS = 18

METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500


class Kind(Protocol):
    """A kind of parameter."""

    def read(self, value: Any, param: str) -> Any:
        """Return the typed value of `param`, or raise `ApiError`."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A string of at most `longest` characters, and one of `choices` if there are any."""

    longest: int = 5000
    choices: tuple[str, ...] = ()

    def read(self, value: Any, param: str) -> str:
        """Return the string."""
        if not isinstance(value, str):
            raise errors.invalid(param, f"Invalid string: {param} must be a string")
        if not value:
            raise errors.empty(param)
        if len(value) > self.longest:
            message = f"Invalid string: {value[:8]}…{value[-8:]}; must be at most {self.longest} characters"
            raise errors.invalid(param, message)
        if self.choices and value not in self.choices:
            raise errors.invalid(param, f"Invalid {param}: must be one of {', '.join(self.choices)}")
        return value


@dataclass(frozen=True, kw_only=True)
class Integer:
    """A whole number within bounds."""

    least: int | None = None
    most: int | None = None

    def read(self, value: Any, param: str) -> int:
        """Return the number."""
        if not isinstance(value, str) or not _is_integer(value):
            shown = value[:40] if isinstance(value, str) else "an object"
            raise errors.invalid(param, f"Invalid integer: {shown}", "parameter_invalid_integer")
        number = int(value)
        if self.least is not None and number < self.least:
            message = f"This value must be greater than or equal to {self.least}."
            raise errors.invalid(param, message, "parameter_invalid_integer")
        if self.most is not None and number > self.most:
            message = f"This value must be less than or equal to {self.most}."
            raise errors.invalid(param, message, "parameter_invalid_integer")
        return number


@dataclass(frozen=True)
class Boolean:
    """`true` or `false`."""

    def read(self, value: Any, param: str) -> bool:
        """Return the truth value."""
        if value not in ("true", "false"):
            shown = value[:40] if isinstance(value, str) else "an object"
            raise errors.invalid(param, f"Invalid boolean: {shown}")
        return bool(value == "true")


@dataclass(frozen=True)
class Metadata:
    """Up to 50 pairs; keys up to 40 characters, values up to 500 (docs.stripe.com/api/metadata)."""

    def read(self, value: Any, param: str) -> dict[str, str]:
        """Return the pairs; an empty value removes that pair, or all of them."""
        if value == "":
            return {}
        pairs = dict(enumerate(value)) if isinstance(value, list) else value
        if not isinstance(pairs, dict):
            raise errors.invalid(param, "Invalid object: metadata must be pairs of strings")
        if len(pairs) > METADATA_KEYS:
            raise errors.invalid(param, f"Metadata can have up to {METADATA_KEYS} keys; you passed {len(pairs)}.")
        return {str(key): text for key, text in pairs.items() if _metadata_pair(str(key), text, param)}


@dataclass(frozen=True, kw_only=True)
class Array:
    """A list of one kind."""

    of: Kind
    most: int = 100

    def read(self, value: Any, param: str) -> list[Any]:
        """Return the list."""
        if not isinstance(value, list):
            raise errors.invalid(param, "Invalid array")
        if len(value) > self.most:
            raise errors.invalid(param, f"Array too long: at most {self.most} elements are allowed")
        return [self.of.read(item, f"{param}[{index}]") for index, item in enumerate(value)]


@dataclass(frozen=True)
class Record:
    """An object with known fields, some of them required; the outermost object has the name ''."""

    fields: Mapping[str, Kind]
    required: tuple[str, ...] = ()

    def read(self, value: Any, param: str = "") -> dict[str, Any]:
        """Return the given fields, each converted by its kind."""
        if not isinstance(value, dict):
            raise errors.invalid(param, "Invalid object")
        for name in value:
            if name not in self.fields:
                raise errors.unknown(_join(param, name))
        for name in self.required:
            if name not in value:
                raise errors.missing(_join(param, name))
        return {name: self.fields[name].read(item, _join(param, name)) for name, item in value.items()}


@dataclass(frozen=True)
class NotOffered:
    """A parameter that Stripe has and the sandbox does not support."""

    def read(self, value: Any, param: str) -> Any:
        """Refuse it."""
        del value
        raise errors.not_offered(param)


def not_offered(*names: str) -> dict[str, Kind]:
    """Return fields that Stripe knows and that are not acted on here."""
    return dict.fromkeys(names, NotOffered())


def _join(outer: str, name: str) -> str:
    return f"{outer}[{name}]" if outer else name


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _MAX_INTEGER_DIGITS


def _metadata_pair(key: str, text: Any, param: str) -> bool:
    """Check one pair; return False if its value is empty, which removes it."""
    if len(key) > METADATA_KEY_LENGTH:
        raise errors.invalid(param, f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters.")
    if not isinstance(text, str):
        raise errors.invalid(f"{param}[{key}]", "Metadata values must be strings.")
    if len(text) > METADATA_VALUE_LENGTH:
        message = f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters; you passed {len(text)}."
        raise errors.invalid(f"{param}[{key}]", message)
    return text != ""
