"""PostgreSQL URLs: translates libpq's parameters, which hosted services hand out, into asyncpg's.

The names are libpq's (postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS).
"""

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_KINDS: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
# asyncpg reads these from the URL as libpq does.
_UNDERSTOOD: Final = frozenset(
    {"host", "port", "user", "password", "dbname", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"}
    | {"sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs"}
)
_CHOICES: Final = {
    "sslmode": SSL_MODES,
    "target_session_attrs": SESSION_KINDS,
    # asyncpg supports neither, so a URL that requires one is refused, except for the one that hosted services hand out:
    # without channel binding, sslmode=verify-full protects against a man in the middle.
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
}
_TRANSLATED: Final = frozenset(
    {"ssl", "application_name", "options", "connect_timeout", "channel_binding", "gssencmode"}
)
_SSL: Final = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}


def connect_arguments(url: str) -> dict[str, Any]:
    """Return asyncpg's arguments for a PostgreSQL URL: `dsn` and, if given, `timeout` and `server_settings`.

    Raises:
        ValueError: a parameter is unknown or its value is invalid. The text names it.
    """
    parts = urlsplit(url)
    given = _parameters(parts.query)
    arguments: dict[str, Any] = {}
    if "connect_timeout" in given:
        arguments["timeout"] = _seconds(given["connect_timeout"])
    settings = {name: given[name] for name in ("application_name", "options") if name in given}
    if settings:
        arguments["server_settings"] = settings
    passed_on = urlencode({name: value for name, value in given.items() if name in _UNDERSTOOD})
    return {"dsn": urlunsplit(("postgresql", parts.netloc, parts.path, passed_on, "")), **arguments}


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(given.keys() - _UNDERSTOOD - _TRANSLATED)
    if unknown:
        raise ValueError(f"has parameters that are not known here: {', '.join(unknown)}")
    if "ssl" in given:
        given["sslmode"] = _SSL.get(given["ssl"].lower(), given.pop("ssl"))
    for name, choices in _CHOICES.items():
        if name in given and given[name] not in choices:
            raise ValueError(f"has the parameter {name}, which must be one of {', '.join(choices)}")
    return given


def _seconds(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("has the parameter connect_timeout, which must be a number of seconds, 1 at least")
    return int(value)
