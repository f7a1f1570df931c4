"""Who calls an HTTP page: the address behind proxies of ours, and how often it has failed. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

LOCALHOST = "localhost"
_ON_BEHALF = frozenset(
    ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
    + ("origin", "sec-fetch-site")
)
"""Headers of a proxy or a browser: the address is theirs, not that of who asks."""

MOST_REMEMBERED = 10_000
"""Addresses whose failures are counted at once; the one not heard of for longest goes first."""


class Proxies:
    """The addresses whose headers about others are believed: networks, separated by commas.

    Raises `ValueError` for one that is no network.
    """

    def __init__(self, text: str = "") -> None:
        parts = (part.strip() for part in text.split(","))
        self._networks: list[Network] = [ip_network(part, strict=False) for part in parts if part]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str | None) -> bool:
        """Whether an address is one of ours."""
        found = plain(address or "")
        try:
            return any(ip_address(found) in network for network in self._networks)
        except ValueError:
            return False

    def caller(self, address: str | None, forwarded: str) -> str:
        """The address a request began at; `forwarded` is its `X-Forwarded-For`.

        What a caller writes into that header stands before what our proxies add, so it is read from
        its end, and only as far as our proxies wrote it.
        """
        found = plain(address or "")
        for part in reversed(forwarded.split(",")):
            if not self.trusts(found):
                break
            try:
                found = plain(str(ip_address(part.strip())))
            except ValueError:
                break
        return found


def plain(address: str) -> str:
    """An address without a zone; of IPv4 in IPv6 the IPv4 one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def is_address(host: str) -> bool:
    """Whether this is an address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether this is an address or the name by which a machine speaks to itself."""
    found = plain(host)
    return ip_address(found).is_loopback if is_address(found) else host == LOCALHOST


def asks_for_itself(address: str | None, headers: Iterable[str]) -> bool:
    """Whether a request is of a program on this machine, and of no proxy or page in a browser.

    `headers` are the names of its headers, by any case.
    """
    return is_loopback(address or "") and _ON_BEHALF.isdisjoint(map(str.lower, headers))


def neighbourhood(address: str) -> str:
    """What counts as one caller: an address, of IPv6 the network that one customer is given."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(ip_network(f"{found}/64", strict=False))
    return address


class FailureLimit:
    """How many failures an address may have: `most` at once, and as many more every `window_s`.

    `now` is seconds of a clock that only ticks.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._each_s = window_s / most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """How long an address must wait before it may try again; 0 if it may."""
        return max(0.0, (1 - self._allowance(neighbourhood(address), now)) * self._each_s)

    def failed(self, address: str, now: float) -> None:
        """Count a failure."""
        key = neighbourhood(address)
        self._left[key] = (self._allowance(key, now) - 1, now)
        self._left.move_to_end(key)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)

    def _allowance(self, key: str, now: float) -> float:
        left, since = self._left.get(key, (float(self._most), now))
        return min(float(self._most), left + (now - since) / self._each_s)
