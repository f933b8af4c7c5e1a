"""Speaking with the brokers over TLS, and saying by a certificate who we are."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faststream.security import BaseSecurity


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: whom to trust, and our own certificate with its key, or neither where brokers ask nobody's name."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files anew, so that who connects after a renewal shows the new certificate.

        Raises `OSError` (also `ssl.SSLError`) where they cannot be read.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


def client_options(tls: Tls | None) -> dict[str, Any]:
    """Return what a client of aiokafka is told besides the addresses; nothing for plain text."""
    return {} if tls is None else {"security_protocol": "SSL", "ssl_context": tls.context()}


def security(tls: Tls | None) -> BaseSecurity | None:
    """Return the same for FastStream."""
    return None if tls is None else BaseSecurity(ssl_context=tls.context(), use_ssl=True)
