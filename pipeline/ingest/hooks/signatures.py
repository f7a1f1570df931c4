"""Whether a call comes from the platform it says: one check a scheme, all in constant time. Pure.

Schemes are those of the vendors' documentation; the address is in the docs page of each source. A
platform that signs nothing is known by the plain secret in a header. `Forged` is raised for a call
that is not the platform's, with a reason that holds nothing secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1, sha256
from urllib.parse import parse_qsl, urlsplit

import jwt
import orjson
from jwt.types import Options

REPLAY_MS = 300_000
"""How far the time in a signature may be from the clock, either way: a copy of it is of no use
after that."""
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000
"""Fields of a form; Twilio sends a few dozen, and whoever calls is not known yet."""


class Forged(Exception):
    """A call that does not prove to come from its platform."""


@dataclass(frozen=True, slots=True)
class Call:
    """A webhook as it came. `url` is the address the platform called; `now` is epoch ms."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    content_type: str
    now: int

    def header(self, name: str) -> str:
        """A header that must be there."""
        value = self.headers.get(name)
        if value is None:
            raise Forged(f"the header {name} is missing")
        return value.encode("utf-8", "replace").decode()  # bytes of no text come as half pairs


Check = Callable[[Call, bytes], None]
"""Raises `Forged` unless the secret proves the call."""


def check(source: str, call: Call, secrets: list[bytes]) -> None:
    """Raise `Forged` unless one of the secrets proves the call: old and new ones may overlap."""
    problem = Forged("no secret is configured")
    for secret in secrets:
        try:
            SCHEMES.get(source, plain)(call, secret)
            return
        except Forged as error:
            problem = error
    raise problem


def plain(call: Call, secret: bytes) -> None:
    """The secret itself: as Bearer, as the password of Basic, or in one of the usual headers."""
    given = [call.headers[name] for name in _PLAIN_HEADERS if name in call.headers]
    scheme, _, rest = call.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given.append(rest.strip())
    elif scheme.lower() == "basic":
        given.append(_password(rest))
    # All are compared, so that time does not tell which header was right.
    if not any([_same(text, secret) for text in given]):  # noqa: C419
        raise Forged("the secret is missing or wrong" if given else "no secret is given")


_PLAIN_HEADERS = ("X-Api-Key", "X-Amz-Firehose-Access-Key")


def twilio(call: Call, secret: bytes) -> None:
    """X-Twilio-Signature: HMAC-SHA1 of the address and the sorted form fields, in base64.

    For a JSON body the address holds its SHA-256. Twilio signs no time.
    """
    text = call.url
    if call.content_type == FORM:
        text += "".join(name + value for name, value in sorted(set(_fields(call.body))))
    else:
        told = dict(parse_qsl(urlsplit(call.url).query)).get("bodySHA256", "")
        if not _same(sha256(call.body).hexdigest(), told.lower().encode()):
            raise Forged("bodySHA256 is not that of the body")
    _compare(
        call.header("X-Twilio-Signature"), _mac64(secret, text.encode("utf-8", "replace"), "sha1")
    )


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Forged(f"the form has more than {MAX_FIELDS} fields") from None


def zendesk(call: Call, secret: bytes) -> None:
    """X-Zendesk-Webhook-Signature: HMAC-SHA256 of timestamp and body, in base64."""
    stamp = call.header("X-Zendesk-Webhook-Signature-Timestamp")
    _compare(
        call.header("X-Zendesk-Webhook-Signature"),
        _mac64(secret, stamp.encode() + call.body, "sha256"),
    )
    _fresh(_iso_ms(stamp), call.now)


def hubspot(call: Call, secret: bytes) -> None:
    """X-HubSpot-Signature-v3 over method, address, body and time; v1 for a secret `v1:…` alone.

    HubSpot sends v1 beside v3. It signs no time, so if it were enough, a copy of a call without its
    newer headers would be of use for ever.
    """
    older = secret.removeprefix(b"v1:")
    if older != secret:
        plain_hash = sha256(older + call.body).hexdigest().encode()
        _compare(call.header("X-HubSpot-Signature").lower(), plain_hash)
        return
    stamp = call.header("X-HubSpot-Request-Timestamp")
    text = b"POST" + _hubspot_url(call.url).encode("utf-8", "replace") + call.body + stamp.encode()
    _compare(call.header("X-HubSpot-Signature-v3"), _mac64(secret, text, "sha256"))
    _fresh(_digits(stamp), call.now)


_HUBSPOT_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


def _hubspot_url(url: str) -> str:
    for code, character in _HUBSPOT_DECODED.items():
        url = url.replace(code, character).replace(code.lower(), character)
    return url


def liveperson(call: Call, secret: bytes) -> None:
    """x-liveperson-signature: `sha1=` or `sha256=` and the HMAC of the body, base64 or hex.

    LivePerson signs no time.
    """
    algorithm, _, given = call.header("X-Liveperson-Signature").partition("=")
    if algorithm not in ("sha1", "sha256"):
        raise Forged("the signature is neither sha1 nor sha256")
    mac = hmac.digest(secret, call.body, algorithm)
    hexadecimal = len(given) == 2 * len(mac)
    _compare(given.lower() if hexadecimal else given, _text(mac, hexadecimal))


def standard_webhooks(call: Call, secret: bytes) -> None:
    """Standard Webhooks: HMAC-SHA256 of id, time and body; any of the listed ones may match."""
    key = _standard_key(secret)
    stamp = call.header("Webhook-Timestamp")
    signed = f"{call.header('Webhook-Id')}.{stamp}.".encode() + call.body
    right = _mac64(key, signed, "sha256")
    listed = [item.partition(",") for item in call.header("Webhook-Signature").split()]
    matches = [_same(text, right) for version, _, text in listed if version == "v1"]
    if not any(matches):
        raise Forged("no signature of version v1 is right")
    _fresh(_digits(stamp) * 1000, call.now)


def _standard_key(secret: bytes) -> bytes:
    prefix = b"whsec_"
    if not secret.startswith(prefix):
        return secret
    try:
        key = base64.b64decode(secret[len(prefix) :], validate=True)
    except binascii.Error:
        key = b""
    if not key:  # under an empty key anybody could sign
        raise Forged("the configured secret is no base64 after whsec_")
    return key


def zoho(call: Call, secret: bytes) -> None:
    """Zoho Desk's X-ZDesk-JWT where the secret is a key set, else the `token` Zoho CRM repeats.

    The key set is the JSON of Zoho's jwks.json with `iss` (`orgId:…`) beside `keys`: every customer
    of Zoho has tokens signed by the same keys.
    """
    if not secret.startswith(b"{"):
        _zoho_token(call, secret)
        return
    _zoho_jwt(call.header("X-ZDesk-JWT"), secret, call.now)


def _zoho_token(call: Call, secret: bytes) -> None:
    try:
        told = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        told = None
    token = told.get("token") if isinstance(told, dict) else None
    if isinstance(token, str):
        _compare(token, secret)
    else:
        plain(call, secret)


# Times are compared with the caller's clock, below; the audience is the webhook's own number.
_UNCHECKED: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": ["iss", "exp"],
}


def _zoho_jwt(token: str, secret: bytes, now: int) -> None:
    try:
        configured = orjson.loads(secret)
        keys = jwt.PyJWKSet.from_dict({"keys": configured["keys"]})
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=configured["iss"],
            options=_UNCHECKED,
        )
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise Forged(f"the token is not Zoho's ({type(error).__name__})") from None
    if not isinstance(claims["exp"], int) or claims["exp"] * 1000 < now:
        raise Forged("the token has expired")


SCHEMES: Mapping[str, Check] = {
    "twilio": twilio,
    "zendesk": zendesk,
    "hubspot": hubspot,
    "liveperson": liveperson,
    "feedback": standard_webhooks,
    "zoho": zoho,
}
"""By source; all others are known by the plain secret."""


def _same(given: str, right: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right)


def _compare(given: str, right: bytes) -> None:
    if not _same(given, right):
        raise Forged("the signature is wrong")


def _mac64(secret: bytes, text: bytes, algorithm: str) -> bytes:
    return base64.b64encode(hmac.digest(secret, text, sha1 if algorithm == "sha1" else sha256))


def _text(mac: bytes, hexadecimal: bool) -> bytes:
    return mac.hex().encode() if hexadecimal else base64.b64encode(mac)


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode("utf-8", "replace").partition(":")[2]
    except ValueError:  # also for text that is not ASCII
        return ""


def _digits(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Forged("the signature's time is no number")
    return int(text)


def _iso_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise Forged("the signature's time cannot be read") from None


def _fresh(moment: int, now: int) -> None:
    if abs(now - moment) > REPLAY_MS:
        raise Forged("the signature is older or newer than five minutes")
