"""Stripe's request encoding: form fields with brackets in their names for nested objects and arrays."""

import re
from typing import Any
from urllib.parse import parse_qsl

from paidchat.sandbox.errors import ApiError

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")
_MAX_DEPTH = 10
_MAX_FIELDS = 1000


def decode(text: str) -> dict[str, Any]:
    """Turn `lines[0][quantity]=1&expand[]=x` into `{"lines": [{"quantity": "1"}], "expand": ["x"]}`.

    Values stay strings. Maps whose keys are all numbers become arrays in the order of those numbers.

    Raises:
        ApiError: Brackets that do not match, a name that is both value and object, or too many fields.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except (ValueError, UnicodeDecodeError):
        raise ApiError("The parameters are not form-encoded UTF-8.") from None
    tree: dict[str, Any] = {}
    for name, value in pairs:
        _place(tree, _path(name), value, name)
    return {key: _arrays(value) for key, value in tree.items()}


def _path(name: str) -> list[str]:
    match = _NAME.match(name)
    if match is None:
        raise ApiError(f"Invalid parameter name: {name[:100]}", param=name[:100])
    path = [match[1], *_PART.findall(match[2])]
    if len(path) > _MAX_DEPTH:
        raise ApiError(f"Parameter nested too deeply: {name[:100]}", param=name[:100])
    return path


def _place(tree: dict[str, Any], path: list[str], value: str, name: str) -> None:
    branch = tree
    for key in path[:-1]:
        child = branch.setdefault(key or str(len(branch)), {})
        if not isinstance(child, dict):
            raise ApiError(f"Invalid parameter: {name[:100]} is both a value and an object", param=name[:100])
        branch = child
    leaf = path[-1] or str(len(branch))
    if isinstance(branch.get(leaf), dict):
        raise ApiError(f"Invalid parameter: {name[:100]} is both a value and an object", param=name[:100])
    branch[leaf] = value


def _arrays(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    children = {key: _arrays(value) for key, value in node.items()}
    if all(key.isascii() and key.isdigit() for key in children):
        return [children[key] for key in sorted(children, key=int)]
    return children
