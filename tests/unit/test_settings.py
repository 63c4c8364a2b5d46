"""Settings: every bad value is reported under its variable, all at once, and no secret is ever shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from paidchat.pricing import Tier
from paidchat.settings import Settings, SettingsError, is_loopback, load_settings, unknown_variables

GOOD = {
    "PAIDCHAT_PUBLIC_URL": "https://chat.example.com",
    "STRIPE_SECRET_KEY": "sk_test_canary",
    "STRIPE_WEBHOOK_SECRET": "whsec_canary",
}
Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the settings from an environment with only the good values and those given."""

    def load_with(**environment: str | None) -> Settings:
        for name, value in {**GOOD, **environment}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load_settings(_env_file=None)

    return load_with


def refusal(load: Load, **environment: str | None) -> str:
    """The error text of the settings for this environment."""
    with pytest.raises(SettingsError) as refused:
        load(**environment)
    return str(refused.value)


def test_the_defaults_are_those_of_the_contract(load: Load) -> None:
    """With only the three required variables, everything else has the contract's default."""
    settings = load()
    assert settings.price_amount == 100
    assert settings.price_currency == "usd"
    assert settings.price_tiers == (Tier(amount=100, pinned_seconds=0),)
    assert settings.automatic_tax == "off"
    assert settings.checkout_minutes == 60
    assert settings.rate_limit == "10/minute"
    assert settings.reconcile_seconds == 30
    assert settings.admin_token is None
    assert settings.stripe_api_base is None
    assert settings.allowed_origins == ()
    assert (settings.terms_url, settings.privacy_url, settings.contact, settings.links) == (None, None, None, "on")
    assert settings.page_url == "https://chat.example.com"


@pytest.mark.parametrize("name", GOOD)
def test_a_required_variable_is_asked_for_by_its_name(load: Load, name: str) -> None:
    """Without a required variable the board does not start, and names the missing one."""
    assert f"{name}: is required" in refusal(load, **{name: None})


BAD = [
    ("PAIDCHAT_DATABASE_URL", "mysql://u@h/d"),
    ("PAIDCHAT_DATABASE_URL", "paidchat.db"),
    ("PAIDCHAT_DATABASE_URL", ""),
    ("PAIDCHAT_DATABASE_URL", "sqlite://"),
    ("PAIDCHAT_DATABASE_URL", "sqlite:///:memory:"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?sslmode=on"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?ssl=maybe"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?sslmoed=require"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?connect_timeout=soon"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?connect_timeout=0"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?target_session_attrs=any-one"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?gssencmode=require"),
    ("PAIDCHAT_DATABASE_URL", "postgresql://u:p@h/d?pgbouncer=true"),
    ("PAIDCHAT_PUBLIC_URL", ""),
    ("PAIDCHAT_PUBLIC_URL", "chat.example.com"),
    ("PAIDCHAT_PUBLIC_URL", "ftp://chat.example.com"),
    ("PAIDCHAT_PUBLIC_URL", "https://"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com/?a=b"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com/#top"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com:99999"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat example.com"),
    ("PAIDCHAT_PUBLIC_URL", "https://user:word@chat.example.com"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com?"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com#"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com/board"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com/a/b/"),
    ("PAIDCHAT_PUBLIC_URL", "http://localhost:8000/board"),
    ("PAIDCHAT_PUBLIC_URL", "https://chat.example.com//board"),
    ("PAIDCHAT_DATABASE_URL", "sqlite:///paidchat.db?mode=ro"),
    ("PAIDCHAT_DATABASE_URL", "sqlite:////data/what?now/paidchat.db"),
    ("PAIDCHAT_DATABASE_URL", "sqlite://host/paidchat.db"),
    ("PAIDCHAT_RETURN_URL", "javascript:alert(1)"),
    ("STRIPE_SECRET_KEY", ""),
    ("STRIPE_SECRET_KEY", "pk_test_canary"),
    ("STRIPE_SECRET_KEY", "sk_test_"),
    ("STRIPE_SECRET_KEY", "sk_test_can ary"),
    ("STRIPE_SECRET_KEY", "canary"),
    ("STRIPE_WEBHOOK_SECRET", ""),
    ("STRIPE_WEBHOOK_SECRET", " "),
    ("STRIPE_WEBHOOK_SECRET", ","),
    ("STRIPE_WEBHOOK_SECRET", "whsec_"),
    ("STRIPE_WEBHOOK_SECRET", "canary"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_a,canary"),
    ("PAIDCHAT_PRICE_AMOUNT", "0"),
    ("PAIDCHAT_PRICE_AMOUNT", "-1"),
    ("PAIDCHAT_PRICE_AMOUNT", "1.5"),
    ("PAIDCHAT_PRICE_AMOUNT", "one"),
    ("PAIDCHAT_PRICE_AMOUNT", "100000000"),
    ("PAIDCHAT_PRICE_CURRENCY", "dollar"),
    ("PAIDCHAT_PRICE_CURRENCY", "$"),
    ("PAIDCHAT_PRICE_CURRENCY", ""),
    ("PAIDCHAT_PRICE_CURRENCY", "zzz"),
    ("PAIDCHAT_PRICE_CURRENCY", "xau"),
    ("PAIDCHAT_PRICE_CURRENCY", "btc"),
    ("PAIDCHAT_PRICE_AMOUNT", "30"),
    ("PAIDCHAT_PRICE_AMOUNT", "49"),
    *(
        ("PAIDCHAT_TIERS", value)
        for value in (
            *("", "on", "1", "1:", ":0", "1:0:0", "1:0;5:300", "1:0,", ",1:0", "1:0,,5:300", "off,1:0", "OFF"),
            *("1:0,5", "1.5:0", "1:0,2.5:0", "1:0,5:1.5", "1:-1", "-1:0", "+1:0", "1:0,5:+300", "1:0,5:3e2"),
            *(
                "01:0",
                "1:00",
                "1:0,05:300",
                "1:0,\u0665:300",
                "1:0,5:\u0663",
                "1 : 0",
                "0:0",
                "2:0",
                "5:300",
                "5:300,1:0",
            ),
            *("1:0,5:300,5:600", "1:0,1:300", "1:0,20:1800,5:300", "1:604801", "1:0,5:999999999"),
            *("1:0,2:0,3:0,4:0,5:0,6:0,7:0", "1:0,1000000:0", "1:0,999999999:0", "1:0,9999999999:0"),
        )
    ),
    ("PAIDCHAT_PRODUCT_NAME", ""),
    ("PAIDCHAT_TITLE", ""),
    *(
        (name, value)
        for name in ("PAIDCHAT_TERMS_URL", "PAIDCHAT_PRIVACY_URL", "PAIDCHAT_CONTACT")
        for value in (
            *("javascript:alert(1)", "data:text/html,x", "mailto:a@example.com", "ftp://example.com", "//example.com"),
            *("/terms", "example.com/terms", "https://", "https:///terms", "https://user:word@example.com/"),
            *("https://example.com/a b", "https://example.com/\n", "https://exa\tmple.com/", " https://example.com"),
            *("https://example.com:99999/", "https://example.com\\@other.example.com/"),
        )
    ),
    *(
        ("PAIDCHAT_CONTACT", value)
        for value in ("@", "me@", "@example.com", "me@localhost", "a@b@example.com", "me @example.com", "me@-a.com")
    ),
    ("PAIDCHAT_CONTACT", "me@example.com?bcc=you@example.com"),
    ("PAIDCHAT_CONTACT", "me@example.com,you@example.com"),
    ("PAIDCHAT_TERMS_URL", "me@example.com"),
    ("PAIDCHAT_LINKS", "maybe"),
    ("PAIDCHAT_SHOW_RAISED", "maybe"),
    ("PAIDCHAT_LINKS", ""),
    ("PAIDCHAT_AUTOMATIC_TAX", "maybe"),
    ("PAIDCHAT_CHECKOUT_MINUTES", "29"),
    ("PAIDCHAT_CHECKOUT_MINUTES", "1441"),
    ("PAIDCHAT_CHECKOUT_MINUTES", "an hour"),
    ("PAIDCHAT_ADMIN_TOKEN", "short"),
    ("PAIDCHAT_ADMIN_TOKEN", "with spaces in the middle"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "*"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "null"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "example.com"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "https://example.com/page"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "https://*.example.com"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "https://example.com:99999"),
    ("PAIDCHAT_ALLOWED_ORIGINS", "https://a.example.com,ftp://b.example.com"),
    ("PAIDCHAT_FRAME_ANCESTORS", "*"),
    ("PAIDCHAT_FRAME_ANCESTORS", "https://a.example.com; script-src *"),
    ("PAIDCHAT_FRAME_ANCESTORS", "'self'"),
    ("PAIDCHAT_TRUSTED_PROXIES", "10.0.0.0/33"),
    ("PAIDCHAT_TRUSTED_PROXIES", "10.0.0.1 10.0.0.2"),
    ("PAIDCHAT_RATE_LIMIT", ""),
    ("PAIDCHAT_RATE_LIMIT", "0/minute"),
    ("PAIDCHAT_RATE_LIMIT", "10/0minute"),
    ("PAIDCHAT_RATE_LIMIT", "10 per minute, please"),
    ("PAIDCHAT_RATE_LIMIT", "10/fortnight"),
    ("PAIDCHAT_MAX_VIEWERS", "0"),
    ("PAIDCHAT_MAX_VIEWERS", "many"),
    ("PAIDCHAT_MAX_VIEWERS_PER_CLIENT", "0"),
    ("PAIDCHAT_RECONCILE_SECONDS", "0"),
    ("PAIDCHAT_RECONCILE_SECONDS", "nan"),
    ("PAIDCHAT_RECONCILE_SECONDS", "inf"),
    ("PAIDCHAT_LOG_FORMAT", "xml"),
    ("PAIDCHAT_STRIPE_API_BASE", "stripe"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_named_by_its_variable(load: Load, name: str, value: str) -> None:
    """An invalid value is refused at startup, in one line that begins with its variable."""
    [line] = refusal(load, **{name: value}).splitlines()
    assert line.startswith(f"{name}: ")


TIERS = [
    ("off", [(100, 0)]),
    (" off ", [(100, 0)]),
    ("1:0", [(100, 0)]),
    ("1:60", [(100, 60)]),
    ("1:0,5:300,20:1800", [(100, 0), (500, 300), (2000, 1800)]),
    (" 1:0 , 2:604800 ", [(100, 0), (200, 604_800)]),
    ("1:0,2:1,3:2,4:3,5:4,999999:0", [(100, 0), (200, 1), (300, 2), (400, 3), (500, 4), (99_999_900, 0)]),
]


@pytest.mark.parametrize(("value", "expected"), TIERS)
def test_tiers_are_multiples_of_the_price(load: Load, value: str, expected: list[tuple[int, int]]) -> None:
    """Each tier is a multiple of the price, with how long its messages are pinned."""
    assert [(tier.amount, tier.pinned_seconds) for tier in load(PAIDCHAT_TIERS=value).price_tiers] == expected


def test_each_tier_that_stripe_would_refuse_is_listed(load: Load) -> None:
    """Every tier whose amount is more than Stripe charges in the currency stops the start, in a line of its own."""
    wrong = refusal(load, PAIDCHAT_TIERS="1:0,5:9,500:9,5000:9", PAIDCHAT_PRICE_AMOUNT="1000000")
    first, second = wrong.splitlines()
    assert first == "PAIDCHAT_TIERS: 500:9 is 500000000 usd, but must be at most 99999999, Stripe's eight digits"
    assert second.startswith("PAIDCHAT_TIERS: 5000:9 is 5000000000 usd, but must be at most")


def test_every_problem_is_listed_at_once(load: Load) -> None:
    """If several values are wrong, all of them are reported at once."""
    lines = refusal(
        load,
        STRIPE_SECRET_KEY=None,
        STRIPE_WEBHOOK_SECRET="",
        PAIDCHAT_PRICE_AMOUNT="0",
        PAIDCHAT_TIERS="2:0",
        PAIDCHAT_LOG_FORMAT="xml",
    ).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "PAIDCHAT_PRICE_AMOUNT",
        "PAIDCHAT_TIERS",
        "PAIDCHAT_LOG_FORMAT",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "word"),
    [
        ("30", "usd", "at least 50"),
        ("49", "EUR", "at least 50"),
        ("29", "gbp", "at least 30"),
        ("100", "huf", "at least 17500"),
        ("49", "jpy", "at least 50"),
        ("199", "aed", "at least 200"),
        ("1005", "kwd", "a multiple of 10"),
        ("1001", "bhd", "a multiple of 10"),
        ("5124", "tnd", "a multiple of 10"),
        ("150", "isk", "a multiple of 100"),
        ("550", "UGX", "a multiple of 100"),
    ],
)
def test_a_price_that_stripe_would_refuse_does_not_start(load: Load, amount: str, currency: str, word: str) -> None:
    """A price below Stripe's minimum, or with a fraction that it does not charge, is refused with the rule."""
    [line] = refusal(load, PAIDCHAT_PRICE_AMOUNT=amount, PAIDCHAT_PRICE_CURRENCY=currency).splitlines()
    assert line.startswith("PAIDCHAT_PRICE_AMOUNT: must be")
    assert word in line


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("50", "usd"),
        ("99999999", "usd"),
        ("30", "gbp"),
        ("17500", "huf"),
        ("17501", "huf"),
        ("50", "jpy"),
        ("1000", "kwd"),
        ("500", "isk"),
        ("500", "ugx"),
        ("1005", "twd"),
        ("1", "vnd"),
        ("1000", "KRW"),
    ],
)
def test_a_price_that_stripe_takes_starts(load: Load, amount: str, currency: str) -> None:
    """Every amount that Stripe charges is a valid price."""
    settings = load(PAIDCHAT_PRICE_AMOUNT=amount, PAIDCHAT_PRICE_CURRENCY=currency)
    assert (settings.price_amount, settings.price_currency) == (int(amount), currency.lower())


PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxy settings of the machine that runs the tests."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy"])
@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("socks5://user:canary@127.0.0.1:1080", "socksio"),
        ("socks5h://127.0.0.1:1080", "socksio"),
        ("socks4://127.0.0.1:1080", "must be a proxy's address"),
        ("ftp://canary@127.0.0.1", "must be a proxy's address"),
        ("http://canary:what:port", "must be a proxy's address"),
        ("http://", "must be a proxy's address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused(load: Load, name: str, value: str, word: str) -> None:
    """A proxy for Stripe that cannot be used is reported by its variable, without its password."""
    [line] = refusal(load, **{name: value}).splitlines()
    assert line.startswith(f"{name.upper()}: ")
    assert word in line
    assert "canary" not in line


@pytest.mark.usefixtures("no_proxies")
def test_no_proxy_leads_to_this_machine(load: Load) -> None:
    """With a local sandbox in Stripe's place, no proxy is used, so none is refused."""
    assert load(ALL_PROXY="socks5://127.0.0.1:1080", PAIDCHAT_STRIPE_API_BASE="http://localhost:9000/sandbox")


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("value", ["http://proxy.example.com:3128", "proxy.example.com:3128", "https://a:b@proxy", ""])
def test_a_usable_proxy_is_taken(load: Load, value: str) -> None:
    """An HTTP proxy, with a password or without a scheme, is accepted, and an empty variable means none."""
    assert load(HTTPS_PROXY=value, NO_PROXY="localhost,127.0.0.1,.example.com,*.example.org,::1,10.0.0.0/8")


@pytest.mark.parametrize("key", ["sk_live_canary", "rk_live_canary"])
def test_a_live_key_goes_nowhere_but_to_stripe(load: Load, key: str) -> None:
    """Another address for Stripe together with a live key is refused."""
    said = refusal(load, STRIPE_SECRET_KEY=key, PAIDCHAT_STRIPE_API_BASE="http://127.0.0.1:9000")
    assert "PAIDCHAT_STRIPE_API_BASE" in said


@pytest.mark.parametrize(
    ("key", "livemode"),
    [("sk_test_a", False), ("rk_test_a", False), ("sk_live_a", True), ("rk_live_a", True), ("sk_test_a_live_b", False)],
)
def test_the_key_says_whether_money_is_real(load: Load, key: str, livemode: bool) -> None:
    """Secret and restricted keys are accepted, and their prefix alone gives the mode."""
    assert load(STRIPE_SECRET_KEY=key).livemode is livemode


def test_lists_are_separated_by_commas(load: Load) -> None:
    """There may be several secrets, origins and proxies, with or without spaces after the commas."""
    settings = load(
        STRIPE_WEBHOOK_SECRET="whsec_new, whsec_old",
        PAIDCHAT_ALLOWED_ORIGINS="https://a.example.com,http://localhost:3000 ,",
        PAIDCHAT_FRAME_ANCESTORS="https://Stream.example.com, http://localhost:3000",
        PAIDCHAT_TRUSTED_PROXIES="10.0.0.1, 10.1.0.0/16",
    )
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secrets] == ["whsec_new", "whsec_old"]
    assert settings.allowed_origins == ("https://a.example.com", "http://localhost:3000")
    assert settings.frame_ancestors == ("https://stream.example.com", "http://localhost:3000")
    assert settings.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")


@pytest.mark.parametrize(
    ("public_url", "origins"),
    [
        ("https://chat.example.com", {"https://chat.example.com"}),
        ("https://chat.example.com/", {"https://chat.example.com"}),
        # A browser writes an origin in lower case and leaves the scheme's own port out (RFC 6454, section 6.1).
        ("https://Chat.Example.com", {"https://chat.example.com"}),
        ("https://chat.example.com:443", {"https://chat.example.com"}),
        ("http://chat.example.com:80", {"http://chat.example.com"}),
        ("http://chat.example.com:8000", {"http://chat.example.com:8000"}),
        ("http://localhost:8000", {"http://localhost:8000", "http://127.0.0.1:8000"}),
        ("http://127.0.0.1:8000", {"http://localhost:8000", "http://127.0.0.1:8000"}),
    ],
)
def test_our_own_origin_is_what_a_browser_would_send(load: Load, public_url: str, origins: set[str]) -> None:
    """The page's own origin is derived from the public URL; both loopback names are equivalent."""
    assert load(PAIDCHAT_PUBLIC_URL=public_url).origins == origins


@pytest.mark.parametrize("given", ["https://SPA.Example.com", "https://spa.example.com:443"])
def test_a_configured_origin_is_what_a_browser_would_send(load: Load, given: str) -> None:
    """A configured origin is normalised, because it must match what a browser sends."""
    assert "https://spa.example.com" in load(PAIDCHAT_ALLOWED_ORIGINS=given).origins


def test_the_return_url_is_where_the_payer_comes_back_to(load: Load) -> None:
    """The return URL overrides the public one, and both lose a trailing slash."""
    assert load(PAIDCHAT_PUBLIC_URL="https://api.example.com/").page_url == "https://api.example.com"
    assert load(PAIDCHAT_RETURN_URL="https://spa.example.com/").page_url == "https://spa.example.com"


def test_the_public_url_has_no_path(load: Load) -> None:
    """A public URL with a path is refused with the reason; a return URL may have one."""
    assert "must not have a path" in refusal(load, PAIDCHAT_PUBLIC_URL="https://chat.example.com/board")
    assert load(PAIDCHAT_RETURN_URL="https://example.com/chat/").page_url == "https://example.com/chat"


@pytest.mark.parametrize(
    ("key", "url", "warned"),
    [
        ("sk_live_a", "http://chat.example.com", True),
        ("rk_live_a", "http://chat.example.com:8000", True),
        ("rk_live_a", "http://localhost:8000", True),
        ("rk_live_a", "https://chat.example.com", False),
        ("sk_test_a", "http://chat.example.com", False),
    ],
)
def test_real_money_without_tls_is_warned_about(load: Load, key: str, url: str, warned: bool) -> None:
    """A live key with an http:// public URL causes a warning that names the variable."""
    warnings = load(STRIPE_SECRET_KEY=key, PAIDCHAT_PUBLIC_URL=url).warnings
    assert [warning.startswith("PAIDCHAT_PUBLIC_URL is http://") for warning in warnings] == [True] * warned


def test_what_the_driver_cannot_keep_is_warned_about(load: Load) -> None:
    """Channel binding is not supported, so a URL that requires it causes a warning, unless TLS is fully verified."""
    url = "postgresql://u:canary@h/d?sslmode=require&channel_binding=require"
    [warning] = load(PAIDCHAT_DATABASE_URL=url).warnings
    assert "channel_binding=require" in warning
    assert "canary" not in warning
    assert load(PAIDCHAT_DATABASE_URL=url.replace("=require", "=verify-full", 1)).warnings == ()


def test_either_scheme_of_postgresql_is_taken(load: Load) -> None:
    """`postgres://` means `postgresql://`, as in libpq."""
    assert load(PAIDCHAT_DATABASE_URL="postgres://u:p@h/d").database_url == "postgresql://u:p@h/d"


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://localhost:8000", True),
        ("http://LOCALHOST", True),
        ("http://localhost.", True),
        ("http://board.localhost/x", True),
        ("http://127.0.0.1:9000/sandbox", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:9000", True),
        ("http://0.0.0.0:9000", False),
        ("http://10.0.0.1", False),
        ("https://api.stripe.com", False),
        ("https://localhost.example.com", False),
        ("https://127.0.0.1.example.com", False),
    ],
)
def test_this_machine_is_told_from_others(address: str, here: bool) -> None:
    """Loopback is localhost, its subdomains, 127.0.0.0/8 and ::1, and nothing that only looks similar."""
    assert is_loopback(address) is here


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", "off"),
        ("off", "off"),
        ("false", "off"),
        ("on", "exclusive"),
        ("true", "exclusive"),
        ("inclusive", "inclusive"),
    ],
)
def test_automatic_tax_is_a_switch(load: Load, written: str, meant: str) -> None:
    """Automatic tax is off, exclusive or inclusive; a plain "on" means exclusive."""
    assert load(PAIDCHAT_AUTOMATIC_TAX=written).automatic_tax == meant


@pytest.mark.parametrize(
    "address",
    ["https://example.com", "http://example.com:8080/a/", "https://example.com/legal?lang=de#terms", "https://[::1]/"],
)
def test_a_page_elsewhere_is_kept_as_it_is(load: Load, address: str) -> None:
    """Terms, privacy policy and contact may be any http or https address, and are not changed."""
    settings = load(PAIDCHAT_TERMS_URL=address, PAIDCHAT_PRIVACY_URL=address, PAIDCHAT_CONTACT=address)
    assert (settings.terms_url, settings.privacy_url, settings.contact) == (address, address, address)


@pytest.mark.parametrize("address", ["me@example.com", "o'brien+board@mail.example.co.uk", "a_b-c.d@x-1.example"])
def test_a_contact_may_be_an_e_mail_address(load: Load, address: str) -> None:
    """The contact may also be an e-mail address."""
    assert load(PAIDCHAT_CONTACT=address).contact == address


def test_an_empty_address_is_none(load: Load) -> None:
    """Terms, privacy policy and contact that are set to nothing are not set."""
    settings = load(PAIDCHAT_TERMS_URL="", PAIDCHAT_PRIVACY_URL="", PAIDCHAT_CONTACT="")
    assert (settings.terms_url, settings.privacy_url, settings.contact) == (None, None, None)


@pytest.mark.parametrize(
    ("written", "meant"), [("off", "off"), ("OFF", "off"), ("false", "off"), ("0", "off"), ("on", "on"), ("yes", "on")]
)
def test_switches_are_written_in_the_usual_words(load: Load, written: str, meant: str) -> None:
    """Links in messages, and showing what was raised, are on or off, in the usual words."""
    assert load(PAIDCHAT_LINKS=written).links == meant
    assert load(PAIDCHAT_SHOW_RAISED=written).show_raised == meant


def test_variables_that_are_no_setting_are_named(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A misspelt variable, in the environment or in `.env`, is named, with the setting that was probably meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PAIDCHAT_PRICE=1\nPAIDCHAT_TITLE=Ours\nOTHER=2\n")
    load(PAIDCHAT_PRISE_AMOUNT="200", PAIDCHAT_WHATEVER="3", PAIDCHAT_CHROMIUM="/usr/bin/chromium", PAIDCHATTER="4")
    monkeypatch.delenv("PAIDCHAT_TEST_DATABASE_URL", raising=False)
    assert unknown_variables() == [
        "PAIDCHAT_PRICE is not a setting; did you mean PAIDCHAT_PRICE_AMOUNT?",
        "PAIDCHAT_PRISE_AMOUNT is not a setting; did you mean PAIDCHAT_PRICE_AMOUNT?",
        "PAIDCHAT_WHATEVER is not a setting.",
    ]


def test_the_currency_is_lower_case(load: Load) -> None:
    """A currency may be written in either case and becomes lower-case, as at Stripe."""
    assert load(PAIDCHAT_PRICE_CURRENCY="EUR").price_currency == "eur"


def test_an_empty_admin_token_is_none(load: Load) -> None:
    """An empty token turns the admin API off; it does not accept an empty header."""
    assert load(PAIDCHAT_ADMIN_TOKEN="").admin_token is None


def test_secrets_never_show(load: Load) -> None:
    """No secret, including a database password, appears when settings are logged or in a traceback."""
    settings = load(
        PAIDCHAT_ADMIN_TOKEN="canary-of-the-administration",
        PAIDCHAT_DATABASE_URL="postgresql://board:canary@db.example.com/board",
    )
    assert "canary" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", "pk_canary"),
        ("STRIPE_WEBHOOK_SECRET", "canary"),
        ("PAIDCHAT_ADMIN_TOKEN", "canary"),
        ("PAIDCHAT_DATABASE_URL", "mysql://board:canary@db.example.com/board"),
    ],
)
def test_a_refusal_does_not_repeat_the_secret(load: Load, name: str, value: str) -> None:
    """An error about a value does not quote it, nor any other secret."""
    assert "canary" not in refusal(load, **{name: value})


def test_settings_are_frozen(load: Load) -> None:
    """The settings of a running board cannot be changed."""
    settings: Any = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.price_amount = 1


def test_a_file_is_read_and_the_environment_wins(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Values in `.env` are used unless the environment overrides them."""
    load()
    (tmp_path / ".env").write_text("PAIDCHAT_TITLE=Of the file\nSTRIPE_SECRET_KEY=sk_test_of_the_file\n")
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.title == "Of the file"
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_canary"
