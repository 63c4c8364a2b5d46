"""Clients: what counts as one client in per-client limits."""

import hashlib
import hmac
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

IPV6_CLIENT_BITS: Final = 64  # the prefix that providers assign to one customer


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, an IPv6 /64, or else the input."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip_network((int(ip), IPV6_CLIENT_BITS), strict=False) if isinstance(ip, IPv6Address) else ip)


def client_id(address: str, secret: str) -> str:
    """Return a keyed hash that identifies a client, so that the database stores no addresses."""
    return hmac.new(secret.encode(), network_of(address).encode(), hashlib.sha256).hexdigest()[:32]
