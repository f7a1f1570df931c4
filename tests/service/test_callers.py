"""Who calls: addresses behind proxies, and limits of failures."""

from __future__ import annotations

import pytest

from service import callers
from service.callers import FailureLimit, Proxies, asks_for_itself, is_loopback, neighbourhood

OURS = Proxies("10.0.0.0/8, 2001:db8:1::/48,192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not ours: it may say what it wants
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the first is the caller's own
        ("10.1.2.3", "198.51.100.1, 192.0.2.7", "198.51.100.1"),
        ("10.1.2.3", "10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.1, nonsense", "10.1.2.3"),
        ("::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:1::5", "2001:db8:9::1", "2001:db8:9::1"),
        (None, "198.51.100.1", ""),
    ],
)
def test_of_a_chain_of_proxies_what_ours_wrote_is_believed(
    peer: str | None, forwarded: str, caller: str
) -> None:
    assert OURS.caller(peer, forwarded) == caller


def test_without_proxies_nobody_is_trusted() -> None:
    assert not Proxies("")
    assert not Proxies().trusts("127.0.0.1")
    assert OURS.trusts("10.255.0.1")
    assert not OURS.trusts("11.0.0.1")
    assert not OURS.trusts("no address")
    for wrong in ("10.0.0.0/99", "proxy.example.org"):
        with pytest.raises(ValueError, match=wrong.split("/")[0]):
            Proxies(wrong)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "localhost"])
def test_a_machine_speaks_to_itself(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "::ffff:10.0.0.1", "localhost.x"])
def test_others_speak_from_elsewhere(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("address", "headers", "here"),
    [
        ("127.0.0.1", ["Host", "User-Agent"], True),
        ("127.0.0.1", ["X-FORWARDED-PROTO"], False),
        ("127.0.0.1", ["x-real-ip"], False),
        ("127.0.0.1", ["Sec-Fetch-Site"], False),
        ("192.0.2.1", [], False),
        (None, [], False),
    ],
)
def test_what_asks_for_itself(address: str | None, headers: list[str], here: bool) -> None:
    assert asks_for_itself(address, headers) is here


def test_what_one_customer_is_given_counts_as_one() -> None:
    assert neighbourhood("2001:db8:1:2:3::4") == neighbourhood("2001:db8:1:2::9")
    assert neighbourhood("2001:db8:1:2::1") != neighbourhood("2001:db8:1:3::1")
    assert neighbourhood("192.0.2.1") != neighbourhood("192.0.2.2")


def test_failures_are_bounded_and_forgotten_with_time() -> None:
    limit = FailureLimit(3, 30)
    for _ in range(3):
        assert limit.wait_s("a", 100) == 0
        limit.failed("a", 100)
    assert limit.wait_s("a", 100) == pytest.approx(10)
    assert limit.wait_s("a", 104) == pytest.approx(6)
    assert limit.wait_s("b", 100) == 0
    assert limit.wait_s("a", 110) == 0
    limit.failed("a", 110)
    assert limit.wait_s("a", 110) == pytest.approx(10)
    assert limit.wait_s("a", 1000) == 0


def test_many_addresses_cost_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "MOST_REMEMBERED", 100)
    limit = FailureLimit(1, 60)
    for number in range(1000):
        limit.failed(f"192.0.2.{number}", 0)
    assert len(limit._left) == 100
    assert limit.wait_s("192.0.2.999", 0) > 0
