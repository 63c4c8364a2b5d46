"""Clients: who counts as one, wherever something is counted per client."""

import hashlib
import hmac
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

IPV6_CLIENT_BITS: Final = 64  # what one subscriber is given; each address in it is as good as the next


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address itself, a /64 of IPv6; else what was given."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip_network((int(ip), IPV6_CLIENT_BITS), strict=False) if isinstance(ip, IPv6Address) else ip)


def client_id(address: str, secret: str) -> str:
    """Return what a client is counted under: a keyed hash, so that the database holds no addresses."""
    return hmac.new(secret.encode(), network_of(address).encode(), hashlib.sha256).hexdigest()[:32]
