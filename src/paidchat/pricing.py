"""Pricing: what a payment costs, the tiers, which currencies Stripe charges in, and which amounts of them.

The source is docs.stripe.com/currencies. Amounts are integers in a currency's minor unit, as in the API. The minimum
amounts apply to an account with payouts in the same currency; with payouts in another, the minimum is converted from
that one, which only Stripe can do.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

MAX_AMOUNT: Final = 99_999_999  # eight digits
MAX_TIERS: Final = 6
MAX_PINNED_SECONDS: Final = 604_800  # a week
_TIER: Final = re.compile(r"([1-9][0-9]{0,8}):(0|[1-9][0-9]{0,8})")

CURRENCIES: Final = frozenset({
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bhd",
    "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "clp", "cny", "cop",
    "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip",
    "gmd", "gnf", "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy",
    "kes", "kgs", "khr", "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl",
    "mga", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok",
    "npr", "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf",
    "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top",
    "try", "ttd", "twd", "tzs", "uah", "ugx", "usd", "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xcg",
    "xof", "xpf", "yer", "zar", "zmw",
})  # fmt: skip

# #minimum-and-maximum-charge-amounts
MINIMUM: Final = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip

# #three-decimal: the last digit must be 0. #special-cases: these two have no fractions any more, but are still written
# with two decimals. (HUF and TWD are restricted in payouts, not in charges.)
MULTIPLE_OF: Final = {"bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10, "isk": 100, "ugx": 100}


class Price(Struct, frozen=True, kw_only=True):
    """What one payment costs, fixed when it is created.

    Attributes:
        amount: in minor units, without added tax.
        currency: a lower-case ISO 4217 code.
        taxed: whether Stripe calculates tax, which may be added.
    """

    amount: int
    currency: str
    taxed: bool


class Tier(Struct, frozen=True, kw_only=True):
    """One of the amounts that a payer can choose.

    Attributes:
        amount: in minor units, without added tax.
        pinned_seconds: how long the message is pinned once it is posted; 0 for not at all.
    """

    amount: int
    pinned_seconds: int


class TierSetting(Struct, frozen=True):
    """A tier as it is configured: a multiple of the price, and how long its messages are pinned."""

    multiple: int
    pinned_seconds: int

    def __str__(self) -> str:
        return f"{self.multiple}:{self.pinned_seconds}"


NO_TIERS: Final = (TierSetting(1, 0),)


def parse_tiers(value: str) -> tuple[TierSetting, ...]:
    """Parse `off`, which means the price alone, or `1:0, 5:300`: multiples of the price, and seconds.

    Raises:
        ValueError: it is neither. The text completes a sentence, such as "must begin with …".
    """
    if value.strip() == "off":
        return NO_TIERS
    parts = [_TIER.fullmatch(part.strip()) for part in value.split(",")]
    tiers = [TierSetting(int(part[1]), int(part[2])) for part in parts if part]
    if len(tiers) < len(parts):
        raise ValueError("must be off, or MULTIPLE:SECONDS in whole numbers, comma-separated, e.g. 1:0,5:300")
    _check_tiers(tiers)
    return tuple(tiers)


def _check_tiers(tiers: Sequence[TierSetting]) -> None:
    if len(tiers) > MAX_TIERS:
        raise ValueError(f"must have at most {MAX_TIERS} tiers; these are {len(tiers)}")
    if tiers[0].multiple != 1:
        raise ValueError("must begin with the multiple 1, the price itself, e.g. 1:0")
    for lower, higher in pairwise(tiers):
        if higher.multiple <= lower.multiple:
            raise ValueError(f"must have ascending multiples, each once; {higher} comes after {lower}")
    for tier in tiers:
        if tier.pinned_seconds > MAX_PINNED_SECONDS:
            raise ValueError(f"must pin for at most {MAX_PINNED_SECONDS} seconds, a week; {tier} is longer")


def problem(amount: int, currency: str) -> str | None:
    """Return why Stripe would refuse to charge an amount, in minor units, or None if it would not.

    The currency code is in lower case. The text completes a sentence, such as "must be at least …".
    """
    if currency not in CURRENCIES:
        return f"must be in a currency that Stripe charges in (docs.stripe.com/currencies), and {currency} is none"
    least, step = MINIMUM.get(currency, 1), MULTIPLE_OF.get(currency, 1)
    if amount < least:
        return f"must be at least {least}, Stripe's least charge in {currency}, in its minor unit"
    if amount > MAX_AMOUNT:
        return f"must be at most {MAX_AMOUNT}, Stripe's eight digits"
    if amount % step:
        return f"must be a multiple of {step}: Stripe charges no smaller fractions of {currency}"
    return None
