"""How clients reach the brokers: addresses, TLS and a user, as one value that is handed about.

Kafka's own clients are not known here; `arguments` are those of aiokafka, which Faust uses too.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

_PROBE_MS = 5000
_LOGIN = ("SaslAuthenticationFailed", "UnsupportedSaslMechanismError", "IllegalSaslStateError")
_CLOSED = ("KafkaConnectionError", "ConnectionResetError", "SSLError", "SSLEOFError")
_TRUST = "CALLBOARD_KAFKA_CA_FILE must hold the authority that signed it"
_NAME = "CALLBOARD_BOOTSTRAP must use a name that stands in it"
_MENDED: defaultdict[int, str] = defaultdict(
    lambda: _TRUST,
    {10: "it must be renewed at the broker", 9: "see the clocks", 62: _NAME, 64: _NAME},
)
"""What helps, by OpenSSL's number of what is wrong with a certificate."""

Connect = Callable[..., Awaitable[Any]]
Security = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True)
class Brokers:
    """Where the brokers are and who asks; as text it is their addresses, and no secret.

    `ca_file` empty trusts what the system trusts. `cert_file` and `key_file` are the client's own
    certificate, for brokers that ask for one. All are PEM.
    """

    bootstrap: str
    security: Security = "plaintext"
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __str__(self) -> str:
        return self.bootstrap

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security in ("ssl", "sasl_ssl")

    @property
    def sasl(self) -> bool:
        """Whether a client logs in by name and password."""
        return self.security in ("sasl_plaintext", "sasl_ssl")

    @property
    def unseen(self) -> str:
        """What a topic that is not there may be as well, where the broker knows users."""
        return f", or {self.user} has no right to see it" if self.sasl else ""

    def arguments(self) -> dict[str, Any]:
        """What every client of aiokafka is made with. Raises `OSError` for files of no use.

        The files are read at each call, so a client made after they were renewed has the new ones.
        """
        login = {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security.upper(),
            "ssl_context": self.context(),
            **(login if self.sasl else {}),
        }

    def context(self) -> ssl.SSLContext | None:
        """The TLS context, None where nothing is encrypted. Raises `OSError`, as `arguments`."""
        if not self.tls:
            return None
        return client_context(self.ca_file, self.cert_file, self.key_file)

    async def why_not(self, connect: Connect, question: object) -> str:
        """Why no broker can be spoken to, and what to do, in one line; empty if one can.

        Kafka's clients keep the reason to their log. `connect` opens a connection as they do:
        aiokafka's `create_conn`. `question` is a request of aiokafka that only those may ask who
        have logged in; without log-in a broker answers which requests there are.
        """
        reason = ""
        for host, port in self._addresses():
            arguments = self.arguments()
            del arguments["bootstrap_servers"]
            try:
                connection = await connect(host, port, request_timeout_ms=_PROBE_MS, **arguments)
                try:
                    await connection.send(question)
                finally:
                    connection.close()
            except Exception as error:
                # One of several may just be away: what the last one has against us is told.
                reason = f"{host}:{port}: {self._told(error)}"
            else:
                return ""
        return reason

    def _addresses(self) -> list[tuple[str, int]]:
        found = []
        for server in self.bootstrap.split(","):
            host, _, port = server.strip().rpartition(":")
            found.append((host.strip("[]"), int(port)))
        return found

    def _told(self, error: Exception) -> str:
        """What an attempt to connect failed with, and which variable to look at."""
        if isinstance(error, ssl.SSLCertVerificationError):
            wrong = error.verify_message.rstrip(".")
            return f"its certificate is refused, {wrong}: {_MENDED[error.verify_code]}"
        if type(error).__name__ in _CLOSED:
            return (
                "it hangs up at once: does this listener want TLS, a log-in or a certificate? "
                f"CALLBOARD_KAFKA_SECURITY={self.security}, CALLBOARD_KAFKA_CERT_FILE"
            )
        if type(error).__name__ in _LOGIN:
            return (
                f"it refuses the user {self.user}: see CALLBOARD_KAFKA_USER, "
                f"CALLBOARD_KAFKA_PASSWORD and CALLBOARD_KAFKA_SASL={self.mechanism}"
            )
        if isinstance(error, TimeoutError):
            return "no answer in time"
        return str(error) or type(error).__name__


def client_context(ca_file: str, cert_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """A context that checks the server's chain and name. Raises `OSError` for files of no use."""
    context = ssl.create_default_context(cafile=ca_file or None)
    # Since Python 3.13 the chain is also held to every letter of RFC 5280, which the authorities
    # that people make for their own brokers often do not fulfil: no key identifier, no key usage.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cert_file:
        # Without a password given, OpenSSL would ask for that of an encrypted key at the terminal.
        context.load_cert_chain(cert_file, key_file, password="")
    return context


def unusable(error: OSError) -> str:
    """Why files of certificates or keys are of no use, without what only OpenSSL understands."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    told = {
        "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
        "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate in PEM form",
        "NO_START_LINE": "no certificate or key in PEM form",
        "BAD_PASSWORD_READ": "the key is encrypted: give it without a password",
        "BAD_DECRYPT": "the key is encrypted: give it without a password",
    }
    return told.get(error.reason or "", error.reason or "no certificate or key in PEM form")
