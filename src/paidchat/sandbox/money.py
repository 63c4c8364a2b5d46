"""Money: currencies, their minor units and smallest charges, and amounts in words."""

# docs.stripe.com/currencies
_ZERO_DECIMAL = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
})  # fmt: skip
_TWO_DECIMAL = frozenset({
    "aud", "bgn", "brl", "cad", "chf", "cny", "czk", "dkk", "eur", "gbp", "hkd", "hrk", "huf", "idr", "ils", "inr",
    "isk", "kes", "mxn", "myr", "nok", "nzd", "php", "pln", "ron", "sar", "sek", "sgd", "thb", "try", "twd", "uah",
    "usd", "zar",
})  # fmt: skip
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}

MINIMUM = {
    "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400,
    "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300,
    "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""The smallest charge, in minor units (docs.stripe.com/currencies#minimum-and-maximum-charge-amounts)."""


def is_currency(code: str) -> bool:
    """Return whether a lower-case code is one the sandbox takes."""
    return code in _ZERO_DECIMAL or code in _TWO_DECIMAL


def in_words(amount: int, currency: str) -> str:
    """Return an amount of minor units as people write it: `$1.00`, `¥100`, `2.50 CHF`."""
    number = f"{amount:,}" if currency in _ZERO_DECIMAL else f"{amount / 100:,.2f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"
