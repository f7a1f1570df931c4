"""Who may call: each scheme with its vendor's own example where there is one, and forgeries."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from multidict import CIMultiDict

from pipeline.ingest.hooks.secrets import HookSecrets
from pipeline.ingest.hooks.signatures import FORM, REPLAY_MS, SCHEMES, Call, Forged, check

NOW = 1_700_000_000_000
URL = "https://calls.example.com/v1/sources/x?site=north"
BODY = b'{"a": 1}'
SECRET = b"secret of the hook"


def call(
    headers: dict[str, str],
    body: bytes = BODY,
    url: str = URL,
    kind: str = "application/json",
    now: int = NOW,
) -> Call:
    return Call(url, CIMultiDict(headers), body, kind, now)


def mac64(text: bytes, algorithm: Any = sha256, secret: bytes = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret, text, algorithm)).decode()


def signed_zendesk(now: int = NOW) -> Call:
    stamp = "2023-11-14T22:13:20Z"
    headers = {
        "X-Zendesk-Webhook-Signature": mac64(stamp.encode() + BODY),
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
    }
    return call(headers, now=now)


def signed_hubspot(now: int = NOW) -> Call:
    text = b"POST" + URL.encode() + BODY + str(NOW).encode()
    headers = {
        "X-HubSpot-Signature-v3": mac64(text),
        "X-HubSpot-Request-Timestamp": str(NOW),
    }
    return call(headers, now=now)


def signed_standard(now: int = NOW) -> Call:
    stamp = str(NOW // 1000)
    text = f"msg_1.{stamp}.".encode() + BODY
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1a,xyz v1,AAAA v1,{mac64(text)}",
    }
    return call(headers, now=now)


def signed_twilio(now: int = NOW) -> Call:
    body = urlencode([("EventType", "task.created"), ("Empty", ""), ("A", "ü")]).encode()
    text = URL + "Aü" + "Empty" + "EventTypetask.created"
    return call({"X-Twilio-Signature": mac64(text.encode(), sha1)}, body, kind=FORM, now=now)


def signed_liveperson(now: int = NOW) -> Call:
    return call({"x-liveperson-signature": f"sha1={mac64(BODY, sha1)}"}, now=now)


def with_secret(now: int = NOW) -> Call:
    return call({"Authorization": f"Bearer {SECRET.decode()}"}, now=now)


SIGNED: dict[str, Callable[..., Call]] = {
    "zendesk": signed_zendesk,
    "hubspot": signed_hubspot,
    "feedback": signed_standard,
    "twilio": signed_twilio,
    "liveperson": signed_liveperson,
    "genesys-cloud": with_secret,
    "zoho": with_secret,
}
TIMED = ("zendesk", "hubspot", "feedback")
every_scheme = pytest.mark.parametrize("source", SIGNED)


def changed(signed: Call, **news: Any) -> Call:
    fields = {name: getattr(signed, name) for name in Call.__slots__}
    return Call(**{**fields, **news})


def test_every_scheme_is_tested() -> None:
    assert set(SCHEMES) <= set(SIGNED)


@every_scheme
def test_a_signed_call_passes_with_any_of_the_secrets(source: str) -> None:
    check(source, SIGNED[source](), [SECRET])
    check(source, SIGNED[source](), [b"the new one", SECRET])


@every_scheme
def test_another_secret_or_none_is_refused(source: str) -> None:
    for secrets in ([b"other"], []):
        with pytest.raises(Forged):
            check(source, SIGNED[source](), secrets)


@every_scheme
def test_a_call_without_its_headers_is_refused(source: str) -> None:
    with pytest.raises(Forged) as refused:
        check(source, changed(SIGNED[source](), headers=CIMultiDict()), [SECRET])
    assert SECRET.decode() not in str(refused.value)


@pytest.mark.parametrize("source", sorted(SCHEMES.keys() - {"zoho"}))
def test_another_body_is_refused(source: str) -> None:
    with pytest.raises(Forged):
        check(source, changed(SIGNED[source](), body=b'{"a": 2}'), [SECRET])


@pytest.mark.parametrize("source", TIMED)
def test_a_copy_is_of_no_use_after_five_minutes(source: str) -> None:
    for now in (NOW - REPLAY_MS, NOW + REPLAY_MS):
        check(source, SIGNED[source](now), [SECRET])
    for now in (NOW - REPLAY_MS - 1, NOW + REPLAY_MS + 1):
        with pytest.raises(Forged, match="five minutes"):
            check(source, SIGNED[source](now), [SECRET])


@every_scheme
def test_no_header_raises_anything_but_forged(source: str) -> None:
    for value in (
        "",
        "x",
        "=",
        "v1,",
        "sha1=",
        "\udcff",
        "9" * 400,
        "0001-01-01T00:00:00Z",
        "Basic !",
        "Basic \u00fc",
    ):
        headers = CIMultiDict(dict.fromkeys(SIGNED[source]().headers, value))
        with pytest.raises(Forged):
            check(source, changed(SIGNED[source](), headers=headers), [SECRET])


def test_twilios_published_example() -> None:
    """From the tests of Twilio's own helper libraries (twilio-java, RequestValidatorTest)."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    example = call(
        {"X-Twilio-Signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        urlencode(fields).encode(),
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        FORM,
    )
    check("twilio", example, [b"12345"])


def test_the_published_example_of_standard_webhooks() -> None:
    """From the reference implementation's tests, standard-webhooks/standard-webhooks."""
    example = call(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        now=1_614_265_330_000,
    )
    check("feedback", example, [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


def test_twilio_signs_a_json_body_by_its_hash_in_the_address() -> None:
    url = f"{URL}&bodySHA256={sha256(BODY).hexdigest()}"
    headers = {"X-Twilio-Signature": mac64(url.encode(), sha1)}
    check("twilio", call(headers, url=url), [SECRET])
    with pytest.raises(Forged):
        check("twilio", call(headers, b"{}", url), [SECRET])


def test_hubspot_decodes_some_characters_and_older_apps_may_sign_without_time() -> None:
    coded, plain = URL.replace("north", "a%2Fb%3f"), URL.replace("north", "a/b?")
    text = b"POST" + plain.encode() + BODY + str(NOW).encode()
    headers = {"X-HubSpot-Signature-v3": mac64(text), "X-HubSpot-Request-Timestamp": str(NOW)}
    check("hubspot", call(headers, url=coded), [SECRET])
    without_time = call({"X-HubSpot-Signature": sha256(SECRET + BODY).hexdigest()})
    check("hubspot", without_time, [b"v1:" + SECRET])
    with pytest.raises(Forged):  # a copy of a call that had both, long after
        check("hubspot", without_time, [SECRET])


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_liveperson_writes_its_mac_in_base64_or_hex(algorithm: str) -> None:
    mac = hmac.digest(SECRET, BODY, algorithm)
    for text in (base64.b64encode(mac).decode(), mac.hex(), mac.hex().upper()):
        check("liveperson", call({"X-LivePerson-Signature": f"{algorithm}={text}"}), [SECRET])


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": "secret of the hook"},
        {"X-Amz-Firehose-Access-Key": "secret of the hook"},
        {"Authorization": "Basic " + base64.b64encode(b"user:secret of the hook").decode()},
    ],
)
def test_a_platform_that_signs_nothing_shows_the_secret(headers: dict[str, str]) -> None:
    check("amazon-connect", call(headers), [SECRET])


KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def key_set(key: rsa.RSAPrivateKey = KEY) -> bytes:
    public = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return orjson.dumps({"keys": [public | {"kid": "k1"}], "iss": "orgId:1"})


def desk(key: rsa.RSAPrivateKey = KEY, **claims: Any) -> Call:
    told = {"iss": "orgId:1", "aud": "webhookId:2", "exp": NOW // 1000 + 60, **claims}
    token = jwt.encode(told, key, "RS256", headers={"kid": "k1"})
    return call({"X-ZDesk-JWT": token})


def test_zoho_desk_shows_a_token_signed_for_the_organisation() -> None:
    check("zoho", desk(), [key_set()])
    forged = (desk(OTHER_KEY), desk(iss="orgId:7"), desk(exp=NOW // 1000 - 1), desk(exp="soon"))
    for one in forged:
        with pytest.raises(Forged):
            check("zoho", one, [key_set()])
    with pytest.raises(Forged):
        check("zoho", desk(), [b'{"keys": 1}'])


def test_zoho_crm_repeats_a_token_in_its_body() -> None:
    check("zoho", call({}, orjson.dumps({"token": SECRET.decode()})), [SECRET])
    with pytest.raises(Forged):
        check("zoho", call({}, orjson.dumps({"token": "x"})), [SECRET])


def test_a_token_that_is_nested_deeply_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5_500).decode()
    with pytest.raises(Forged):
        check("zoho", call({"X-ZDesk-JWT": f"{deep}.e30.e30"}), [key_set()])


def test_a_form_of_a_million_fields_is_not_taken_apart() -> None:
    """It is read before anybody has proved who calls."""
    many = call({"X-Twilio-Signature": "x"}, b"a&" * 1_000_000, kind=FORM)
    with pytest.raises(Forged, match="fields"):
        check("twilio", many, [SECRET])


def test_nobody_can_sign_where_the_configured_key_is_empty() -> None:
    text = f"msg_1.{NOW // 1000}.".encode() + BODY
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW // 1000),
        "webhook-signature": f"v1,{mac64(text, secret=b'')}",
    }
    with pytest.raises(Forged, match="whsec_"):
        check("feedback", call(headers), [b"whsec_"])


def test_secrets_are_files_and_may_change(tmp_path: Path) -> None:
    secrets = HookSecrets(tmp_path)
    assert secrets.of("north", "twilio") == []
    (tmp_path / "twilio").write_text("old\nnew\n\n")
    assert secrets.of("north", "twilio") == [b"old", b"new"]
    (tmp_path / "north.twilio").write_text("own")
    assert secrets.of("north", "twilio") == [b"own", b"old", b"new"]
    assert secrets.of("south", "twilio") == [b"old", b"new"]
    (tmp_path / "twilio").unlink()
    assert secrets.of("south", "twilio") == []
    (tmp_path / "zoho").write_text(' {"keys": [],\n "iss": "x"}\n')
    assert secrets.of("south", "zoho") == [b'{"keys": [],\n "iss": "x"}']


def test_a_site_s_name_leads_to_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "x.twilio").write_text("other")
    folder = tmp_path / "hooks"
    folder.mkdir()
    for site in ("../x", "/etc/passwd", "a\x00b", "..", "x" * 200):
        assert HookSecrets(folder).of(site, "twilio") == []
