"""Money in words, as the page's script formats it with `Intl.NumberFormat`: one table of cases checks both."""

from collections.abc import Mapping
from typing import Final

from paidchat.pages.languages import Language

# Stripe's minor units, docs.stripe.com/currencies: ISK and UGX count as two-decimal there, unlike in ISO 4217.
_ZERO_DECIMAL: Final = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_THREE_DECIMAL: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
# Where English has a symbol, in the Unicode CLDR; elsewhere the code.
_SYMBOLS: Final[Mapping[str, str]] = {
    "aud": "A$", "brl": "R$", "cad": "CA$", "cny": "CN¥", "eur": "€", "gbp": "£", "hkd": "HK$", "ils": "₪", "inr": "₹",
    "jpy": "¥", "krw": "₩", "mxn": "MX$", "nzd": "NZ$", "php": "₱", "twd": "NT$", "usd": "$", "vnd": "₫", "xcd": "EC$",
    "xaf": "FCFA", "xcg": "Cg.", "xof": "F\u202fCFA", "xpf": "CFPF",
}  # fmt: skip
_GERMAN_SYMBOLS: Final[Mapping[str, str]] = {**_SYMBOLS, "aud": "AU$", "php": "PHP", "thb": "฿"}
_TO_GERMAN: Final = str.maketrans(",.", ".,")


def format_price(amount: int, currency: str, language: Language = "en") -> str:
    """Return an amount in Stripe's minor units as `$1`, `$1.50` or `¥100`, in German as `1,50 $`.

    The currency code is in lower case, and the space does not break.
    """
    decimals = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2
    whole, rest = divmod(amount, 10**decimals)
    number = f"{whole:,}" + (f".{rest:0{decimals}}" if rest else "")
    if language == "de":
        return f"{number.translate(_TO_GERMAN)}\xa0{_GERMAN_SYMBOLS.get(currency, currency.upper())}"
    symbol = _SYMBOLS.get(currency, currency.upper())
    return f"{symbol}\xa0{number}" if symbol[-1].isalpha() or symbol[-1] == "." else f"{symbol}{number}"
