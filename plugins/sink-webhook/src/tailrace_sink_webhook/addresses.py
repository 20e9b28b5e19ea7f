"""Which IP addresses lead inside, or nowhere: a table, because ``ipaddress.is_global`` lets several of them pass.

The table follows the special-purpose registries of IANA (RFC 6890): everything that is not plain unicast of the
Internet. Addresses of transition techniques count as inward whatever they carry, because a router on the way may turn
them into the IPv4 address inside. ``::ffff:a.b.c.d`` is the exception: the system itself connects to the IPv4 address,
so that one is judged.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
"""An IP address of either kind."""

_TABLE_4 = (
    ("0.0.0.0/8", "this network (RFC 791)"),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "shared by carriers (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    ("169.254.0.0/16", "link-local (RFC 3927)"),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    ("255.255.255.255/32", "broadcast (RFC 919)"),
    ("240.0.0.0/4", "reserved (RFC 1112)"),
)
_TABLE_6 = (
    ("::/128", "unspecified (RFC 4291)"),
    ("::1/128", "loopback (RFC 4291)"),
    ("::/96", "IPv4-compatible (RFC 4291)"),
    ("::ffff:0:0:0/96", "IPv4-translated (RFC 2765)"),
    ("64:ff9b::/96", "NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
    ("100::/64", "discard-only (RFC 6666)"),
    ("100:0:0:1::/64", "dummy prefix (RFC 9780)"),
    ("2001::/32", "Teredo (RFC 4380)"),
    ("2001:2::/48", "benchmarking (RFC 5180)"),
    ("2001:10::/28", "ORCHID (RFC 4843)"),
    ("2001:20::/28", "ORCHIDv2 (RFC 7343)"),
    ("2001::/23", "protocol assignments (RFC 2928)"),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("2002::/16", "6to4 (RFC 3056)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing (RFC 9602)"),
    ("fc00::/7", "unique local (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
)
_INWARD_4 = tuple((IPv4Network(network), reason) for network, reason in _TABLE_4)
_INWARD_6 = tuple((IPv6Network(network), reason) for network, reason in _TABLE_6)
_UNICAST = IPv6Network("2000::/3")
# The interface identifier of ISATAP, with the bit for "globally unique" or without (RFC 5214, section 6.1).
_ISATAP = (0x00005EFE, 0x02005EFE)


def inward_reason(address: Address) -> str:
    """Why an address leads inside, or to nobody on the Internet; empty when it does not.

    Args:
        address: The address.

    Returns:
        What the address is for, with the RFC that says so.
    """
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _INWARD_4 if address in network), "")
    if address.ipv4_mapped is not None:
        return inward_reason(address.ipv4_mapped)
    if address.scope_id is not None:
        return "of one link (RFC 4007)"
    found = next((reason for network, reason in _INWARD_6 if address in network), "")
    if not found and address not in _UNICAST:
        found = "not assigned (RFC 4291)"
    if not found and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        found = "ISATAP (RFC 5214)"
    return found
