"""Money in English words, as the page's script formats it with `Intl.NumberFormat`: one table of cases checks both."""

from typing import Final

# Stripe's minor units, docs.stripe.com/currencies: ISK and UGX count as two-decimal there, unlike in ISO 4217.
_ZERO_DECIMAL: Final = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_THREE_DECIMAL: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
# Where English has a symbol, in the Unicode CLDR; elsewhere the code and a space that does not break.
_SYMBOLS: Final = {
    "aud": "A$", "brl": "R$", "cad": "CA$", "cny": "CN¥", "eur": "€", "gbp": "£", "hkd": "HK$", "ils": "₪", "inr": "₹",
    "jpy": "¥", "krw": "₩", "mxn": "MX$", "nzd": "NZ$", "php": "₱", "twd": "NT$", "usd": "$", "vnd": "₫", "xcd": "EC$",
    "xaf": "FCFA\xa0", "xcg": "Cg.\xa0", "xof": "F\u202fCFA\xa0", "xpf": "CFPF\xa0",
}  # fmt: skip


def format_price(amount: int, currency: str) -> str:
    """Return an amount in Stripe's minor units as `$1`, `$1.50` or `¥100`; the currency code is in lower case."""
    decimals = 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2
    whole, rest = divmod(amount, 10**decimals)
    symbol = _SYMBOLS.get(currency, f"{currency.upper()}\xa0")
    return f"{symbol}{whole:,}" + (f".{rest:0{decimals}}" if rest else "")
