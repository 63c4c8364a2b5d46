"""Shapes: the type of decoded JSON."""

from typing import Any

Json = dict[str, Any]
