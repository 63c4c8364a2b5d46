"""Proxies: the environment's proxy settings, checked before anything is sent.

`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` mean what they mean to httpx
(python-httpx.org/environment_variables).
"""

import ssl
from importlib.util import find_spec
from urllib.request import getproxies

SCHEMES = ("http", "https", "all")


def names() -> list[str]:
    """Return the names of the variables that set a proxy, in upper case."""
    found = getproxies()
    return [f"{scheme.upper()}_PROXY" for scheme in SCHEMES if found.get(scheme)]


def problems() -> list[str]:
    """Return what is wrong with these variables, one line each, without their values, which may contain passwords."""
    # slow to import, and only needed if a proxy is set
    import httpx  # noqa: PLC0415

    found = getproxies()
    lines = [
        f"{scheme.upper()}_PROXY: {problem}"
        for scheme in SCHEMES
        if found.get(scheme) and (problem := _problem(found[scheme]))
    ]
    if lines:
        return lines
    try:
        httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).close()
    except (ValueError, httpx.InvalidURL):
        return ["NO_PROXY: must be host names or addresses, comma-separated"]
    return []


def _problem(address: str) -> str | None:
    import httpx  # noqa: PLC0415 - see above

    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL):
        return "must be a proxy's address, e.g. http://proxy.example.com:3128"
    if not proxy.url.host:
        return "must be a proxy's address, e.g. http://proxy.example.com:3128"
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        return "a SOCKS proxy needs a package that is not installed; pip install socksio, or use an http:// proxy"
    return None
