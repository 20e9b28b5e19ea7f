"""What the operator lets webhooks reach besides the Internet, and the verdict on where a name leads."""

import ipaddress
import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import NoReturn

import attrs

from tailrace_sink_webhook.addresses import Address, inward_reason
from tailrace_sink_webhook.failures import CannotDeliverError

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_LONGEST_NAME = 253


def is_host_name(text: str) -> bool:
    """Whether a text is the name of a host, in lower case and without a dot at its end (RFC 1123, and underscores)."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


@attrs.frozen
class AllowList:
    """Networks, and names of hosts, that webhooks may go to although they lead inside.

    Args:
        networks: The networks.
        names: The names; each counts as written, names below it do not.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> "AllowList":
        """Read it.

        Args:
            entries: Networks such as ``10.1.0.0/16``, addresses, or names of hosts.

        Raises:
            ValueError: An entry that is none of them.
        """
        networks, names = [], set()
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                name = entry.lower().removesuffix(".")
                # What ends like a number was meant to be an address, and is none.
                if not is_host_name(name) or name.rpartition(".")[2].isdigit():
                    raise
                names.add(name)
        return cls(tuple(networks), frozenset(names))

    def covers(self, host: str, address: Address) -> bool:
        """Whether a connection to this address, for this host, is allowed whatever the address is."""
        return host in self.names or any(address in network for network in self.networks)


def refuse_inward(host: str, addresses: Sequence[Address], allow: AllowList, *, plain: bool) -> None:
    """Refuse a host if any of its addresses leads inside, and is not allowed.

    One is enough: whoever answers for the name could make a connection land on it.

    Args:
        host: The host as the URL has it.
        addresses: All that it resolves to.
        allow: What is allowed.
        plain: Whether the connection would be without TLS, for which only allowed addresses will do.

    Raises:
        CannotDeliverError: It is refused.
    """
    for address in addresses:
        if allow.covers(host, address):
            continue
        if reason := inward_reason(address):
            raise CannotDeliverError(
                f"{host} leads to an address inside, {reason}: nothing was sent.",
                hint="Where that is meant, name the host or its network in sinks.webhook.allow.",
            )
        if plain:
            refuse_plain(host)


def refuse_plain(host: str) -> NoReturn:
    """Refuse a host because it would be reached without TLS.

    Args:
        host: The host as the URL has it.

    Raises:
        CannotDeliverError: Always.
    """
    raise CannotDeliverError(
        f"{host} would be reached without TLS: nothing was sent.",
        hint="Use https://, or, in a network of your own, name the host in sinks.webhook.allow.",
    )
