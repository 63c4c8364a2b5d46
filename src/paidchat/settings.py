"""Settings: one frozen object, read from the environment (and `.env`) once and passed in. Never a global."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from paidchat import pricing, proxies
from paidchat.storage import postgres_url

WEBHOOK_PATH = "/stripe/webhook"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A public e-mail address whose every character may stand in a mailto: address as it is (RFC 6068, section 2).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[A-Za-z0-9.!$'*+=_~-]+@(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])")
_OF_THE_TOOLS = {"PAIDCHAT_CHROMIUM"}  # read by ./dev, which may also start a server
_SWITCHES = {"0": "off", "no": "off", "false": "off", "1": "on", "yes": "on", "true": "on"}


class SettingsError(Exception):
    """The settings are invalid. The text lists every problem, one per line."""


def _web_origin(value: str) -> str | None:
    """Return the origin of a URL as a browser sends it (RFC 6454, section 6.1); None if it has none."""
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in _DEFAULT_PORTS or parts.username is not None or not re.fullmatch(r"[a-z0-9._:-]+", host):
        return None
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, _DEFAULT_PORTS[parts.scheme]} else "")


def is_loopback(address: str) -> bool:
    """Return whether a URL points to this machine: localhost and its subdomains (RFC 6761), 127.0.0.0/8, ::1."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _http_url(value: str) -> str:
    value = value.rstrip("/")
    if _web_origin(value) is None or re.search(r"[\s?#]", value):
        raise ValueError("must be an http:// or https:// address without query, e.g. https://chat.example.com")
    return value


def _site_url(value: str) -> str:
    """Return the address of a whole site: the page asks for /api and Stripe for /stripe/webhook, both at its root."""
    value = _http_url(value)
    if urlsplit(value).path:
        raise ValueError(
            "must not have a path: the board needs a host or port of its own, e.g. https://chat.example.com "
            "(a page of your own may have one, in PAIDCHAT_RETURN_URL)"
        )
    return value


def _link(value: str) -> str | None:
    """Return the address of a page elsewhere, which may have a query and a fragment; None for an empty one."""
    if value and (_web_origin(value) is None or re.search(r"[\s\x00-\x1f\x7f]", value)):
        raise ValueError("must be the address of a page: http:// or https://, e.g. https://example.com/terms")
    return value or None


def _contact(value: str) -> str | None:
    """Return an e-mail address or the address of a page; None for an empty one."""
    if not value or _EMAIL.fullmatch(value):
        return value or None
    try:
        return _link(value)
    except ValueError:
        raise ValueError("must be an e-mail address, or an http:// or https:// address of a page") from None


HttpUrl = Annotated[str, AfterValidator(_http_url)]
SiteUrl = Annotated[str, AfterValidator(_site_url)]
Link = Annotated[str | None, AfterValidator(_link)]
Contact = Annotated[str | None, AfterValidator(_contact)]


def _switch(value: object) -> str:
    """Return `on` or `off` for the words that people use for these; any other word in lower case."""
    word = str(value).strip().lower()
    return _SWITCHES.get(word, word)


def _env(name: str, default: Any = ..., **constraints: Any) -> Any:
    return Field(default, validation_alias=name, **constraints)


class Settings(BaseSettings):
    """All settings, in the order of the README's table."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_ignore_empty=False,
        validate_by_name=True,
        hide_input_in_errors=True,
    )

    database_url: str = _env("PAIDCHAT_DATABASE_URL", "sqlite:///paidchat.db", repr=False)  # may contain a password
    public_url: SiteUrl = _env("PAIDCHAT_PUBLIC_URL")
    return_url: HttpUrl | None = _env("PAIDCHAT_RETURN_URL", None)
    stripe_secret_key: SecretStr = _env("STRIPE_SECRET_KEY")
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = _env("STRIPE_WEBHOOK_SECRET")
    price_amount: int = _env("PAIDCHAT_PRICE_AMOUNT", 100, ge=1, le=pricing.MAX_AMOUNT)
    price_currency: str = _env("PAIDCHAT_PRICE_CURRENCY", "usd")
    tiers: str = _env("PAIDCHAT_TIERS", "off")
    product_name: str = _env("PAIDCHAT_PRODUCT_NAME", "One message of your choosing", min_length=1, max_length=250)
    title: str = _env("PAIDCHAT_TITLE", "paidchat", min_length=1, max_length=80)
    terms_url: Link = _env("PAIDCHAT_TERMS_URL", None)
    privacy_url: Link = _env("PAIDCHAT_PRIVACY_URL", None)
    contact: Contact = _env("PAIDCHAT_CONTACT", None)
    links: Literal["on", "off"] = _env("PAIDCHAT_LINKS", "on")
    show_raised: Literal["on", "off"] = _env("PAIDCHAT_SHOW_RAISED", "off")
    automatic_tax: Literal["off", "exclusive", "inclusive"] = _env("PAIDCHAT_AUTOMATIC_TAX", "off")
    checkout_minutes: int = _env("PAIDCHAT_CHECKOUT_MINUTES", 60, ge=30, le=1440)
    admin_token: SecretStr | None = _env("PAIDCHAT_ADMIN_TOKEN", None)
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = _env("PAIDCHAT_ALLOWED_ORIGINS", ())
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = _env("PAIDCHAT_FRAME_ANCESTORS", ())
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = _env("PAIDCHAT_TRUSTED_PROXIES", ())
    rate_limit: str = _env("PAIDCHAT_RATE_LIMIT", "10/minute")
    max_open_payments: int = _env("PAIDCHAT_MAX_OPEN_PAYMENTS", 10_000, ge=1)
    max_viewers: int = _env("PAIDCHAT_MAX_VIEWERS", 20_000, ge=1)
    max_viewers_per_client: int = _env("PAIDCHAT_MAX_VIEWERS_PER_CLIENT", 50, ge=1)
    reconcile_seconds: float = _env("PAIDCHAT_RECONCILE_SECONDS", 30, gt=0, allow_inf_nan=False)
    log_format: Literal["auto", "json", "console"] = _env("PAIDCHAT_LOG_FORMAT", "auto")
    log_requests: Literal["all", "slow-or-failed"] = _env("PAIDCHAT_LOG_REQUESTS", "all")
    stripe_api_base: HttpUrl | None = _env("PAIDCHAT_STRIPE_API_BASE", None)

    @field_validator("stripe_webhook_secrets", "allowed_origins", "frame_ancestors", "trusted_proxies", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        """Parse `a, b` as a list of two."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("links", "show_raised", mode="before")
    @classmethod
    def _read_switch(cls, value: object) -> str:
        return _switch(value)

    @field_validator("automatic_tax", mode="before")
    @classmethod
    def _read_tax(cls, value: object) -> str:
        word = _switch(value)
        return {"": "off", "on": "exclusive"}.get(word, word)

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: str) -> str:
        if value.startswith("postgres://"):  # libpq accepts it, and some hosted services use it
            value = value.replace("postgres", "postgresql", 1)
        try:
            url = make_url(value)
            usable = url.get_backend_name() in {"sqlite", "postgresql"} and url.database not in {None, "", ":memory:"}
        except ArgumentError:
            usable = False
        if not usable:
            raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
        if url.get_backend_name() == "sqlite" and ("?" in value or url.host):
            raise ValueError("must be sqlite:///FILE without host or parameters; in a file's name, write ? as %3F")
        if url.get_backend_name() == "postgresql":
            postgres_url.connect_arguments(value)
        return value

    @field_validator("price_currency")
    @classmethod
    def _check_currency(cls, value: str) -> str:
        if value.lower() not in pricing.CURRENCIES:
            raise ValueError("must be a currency that Stripe charges in, e.g. usd (docs.stripe.com/currencies)")
        return value.lower()

    @field_validator("tiers")
    @classmethod
    def _check_tiers(cls, value: str) -> str:
        pricing.parse_tiers(value)
        return value

    @field_validator("stripe_secret_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"(sk|rk)_(test|live)_[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be a secret or restricted Stripe key: sk_test_…, sk_live_…, rk_test_… or rk_live_…")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _check_webhook_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not value:
            raise ValueError("must not be empty: without a secret anyone could forge a payment")
        if not all(re.fullmatch(r"whsec_[\x21-\x7e]+", secret.get_secret_value()) for secret in value):
            raise ValueError("must be the endpoint's signing secret whsec_… (several: comma-separated)")
        return value

    @field_validator("admin_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not re.fullmatch(r"[\x21-\x7e]{16,}", value.get_secret_value()):
            raise ValueError("must be at least 16 printable ASCII characters without spaces")
        return value

    @field_validator("allowed_origins", "frame_ancestors")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = [_web_origin(origin) for origin in value]
        whole = [origin for origin in value if urlsplit(origin).path or urlsplit(origin).query]
        if None in origins or whole:
            raise ValueError("must be origins such as https://example.com, comma-separated; * is not one")
        return tuple(origin for origin in origins if origin)

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            try:
                ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError("must be addresses or networks such as 10.0.0.0/8, comma-separated") from None
        return value

    @field_validator("rate_limit")
    @classmethod
    def _check_rate_limit(cls, value: str) -> str:
        if value != "off" and not re.fullmatch(r"[1-9]\d*/([1-9]\d*)?(second|minute|hour|day)", value):
            raise ValueError("must be COUNT/PERIOD, e.g. 10/minute, or off")
        return value

    @model_validator(mode="after")
    def _check_sandbox(self) -> Self:
        if self.stripe_api_base and self.livemode:
            raise ValueError(
                "PAIDCHAT_STRIPE_API_BASE: a live key is never sent anywhere but to Stripe; unset one of the two"
            )
        return self

    @model_validator(mode="after")
    def _check_price(self) -> Self:
        if problem := pricing.problem(self.price_amount, self.price_currency):
            raise ValueError(f"PAIDCHAT_PRICE_AMOUNT: {problem}")
        problems = [
            f"PAIDCHAT_TIERS: {setting} is {tier.amount} {self.price_currency}, but {problem}"
            for setting, tier in zip(pricing.parse_tiers(self.tiers), self.price_tiers, strict=True)
            if (problem := pricing.problem(tier.amount, self.price_currency))
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _check_proxies_to_stripe(self) -> Self:
        if not self.stripe_is_local and (problems := proxies.problems()):
            raise ValueError("\n".join(problems))
        return self

    @property
    def price(self) -> pricing.Price:
        """The price of a payment that is started now without choosing a tier."""
        taxed = self.automatic_tax != "off"
        return pricing.Price(amount=self.price_amount, currency=self.price_currency, taxed=taxed)

    @property
    def price_tiers(self) -> tuple[pricing.Tier, ...]:
        """The amounts that a payer can choose now, ascending; the first is the price."""
        return tuple(
            pricing.Tier(amount=self.price_amount * tier.multiple, pinned_seconds=tier.pinned_seconds)
            for tier in pricing.parse_tiers(self.tiers)
        )

    @property
    def stripe_is_local(self) -> bool:
        """Whether a stand-in for Stripe runs on this machine, where proxies don't apply."""
        return self.stripe_api_base is not None and is_loopback(self.stripe_api_base)

    @property
    def livemode(self) -> bool:
        """Whether the key charges real money."""
        return self.stripe_secret_key.get_secret_value().split("_")[1] == "live"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that are allowed but hardly intended, a sentence each."""
        found = []
        if self.livemode and self.public_url.startswith("http:"):
            found.append(
                "PAIDCHAT_PUBLIC_URL is http:// with a live key: anyone on the way can read and change what payers "
                "send and see. Put a proxy with TLS in front, and use its https:// address."
            )
        if "channel_binding=require" in self.database_url and "sslmode=verify-full" not in self.database_url:
            found.append(
                "PAIDCHAT_DATABASE_URL asks for channel_binding=require, which the driver does not have. "
                "sslmode=verify-full protects as well against someone in between."
            )
        return tuple(found)

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """The webhook endpoint's signing secrets; a signature by any of them is valid."""
        return tuple(secret.get_secret_value().encode() for secret in self.stripe_webhook_secrets)

    @property
    def page_url(self) -> str:
        """The URL that payers return to, without a trailing slash."""
        return self.return_url or self.public_url

    @property
    def origins(self) -> frozenset[str]:
        """The origins that browsers may use the board from: its own and the configured ones.

        `localhost` and `127.0.0.1` are the same machine, so a board on one also accepts the other.
        """
        own = {_web_origin(self.public_url) or ""}
        for name, other in (("localhost", "127.0.0.1"), ("127.0.0.1", "localhost")):
            own |= {origin.replace(name, other) for origin in own if urlsplit(origin).hostname == name}
        return frozenset(own | set(self.allowed_origins))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; arguments take precedence over the environment.

    Raises:
        SettingsError: with one line per problem.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors(include_input=False, include_url=False)]
        raise SettingsError("\n".join(lines)) from None


def unknown_variables() -> list[str]:
    """Return a warning for each `PAIDCHAT_*` variable, in the environment or in `.env`, that is not a setting."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()} | _OF_THE_TOOLS
    sources = EnvSettingsSource(Settings), DotEnvSettingsSource(Settings)
    given = {name.upper() for source in sources for name in source.env_vars}
    unknown = sorted(name for name in given - known if name.startswith("PAIDCHAT_"))
    return [f"{name} is not a setting{_similar(name, known)}" for name in unknown]


def _similar(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else "."


def _line(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    field = Settings.model_fields.get(name)
    name = str(field.validation_alias) if field else name
    return f"{name}: {'is required' if problem['type'] == 'missing' else message}"
