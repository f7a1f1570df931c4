"""How clients reach the brokers: addresses, TLS and a user, as one value that is handed about.

Kafka's own clients are not known here; `arguments` are those of aiokafka, which Faust uses too.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

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
