"""Why nothing answered, by what lies beneath the HTTP client's error; and what to do."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from urllib.parse import urlsplit

import httpx

from animus_sdk.errors import CertificateRefused
from animus_sdk.printable import printable

_CERTIFICATE_NOT_VALID = (9, 10)
"""OpenSSL's numbers for a certificate whose time has not begun, and has ended."""
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})


def explain(error: httpx.RequestError) -> str:
    """A request's error in few words, without the URL that it may hold."""
    for beneath in causes(error):
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return "its certificate is not accepted"
        if isinstance(beneath, ssl.SSLError):
            return "it does not speak TLS as it should"
        if isinstance(beneath, socket.gaierror):
            return "this machine does not know the name"
        if isinstance(beneath, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(beneath, OSError) and beneath.errno in _NO_WAY:
            return "no network leads there"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return "it took too long"
    if isinstance(error, httpx.DecodingError):
        return "the answer is not compressed as it says it is"
    return "the connection was lost"


def find_mistrust(error: BaseException, place: str) -> CertificateRefused | None:
    """Where it is the server's certificate that does not do: trying again changes nothing."""
    for beneath in causes(error):
        if isinstance(beneath, ssl.SSLCertVerificationError):
            said = printable(beneath.verify_message)
            return CertificateRefused(
                f"The certificate of {place} is not accepted: {said}. {certificate_advice(beneath)}"
            )
    return None


def certificate_advice(error: ssl.SSLCertVerificationError) -> str:
    """What to do about it. Validity is judged by the clock of this machine, which may be wrong."""
    if error.verify_code in _CERTIFICATE_NOT_VALID:
        here = datetime.now(timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M %z")
        return (
            f"This machine's clock says {here}. If that is right, the operators renew the"
            " certificate; if not, set it: timedatectl set-ntp true."
        )
    if "ostname" in error.verify_message or "IP address" in error.verify_message:
        return "Use the name that the certificate is for, or have it issued for this one."
    return (
        "Add your organisation's authority to this machine's list, or name its file in"
        " SSL_CERT_FILE."
    )


def origin_of(url: str) -> str:
    """Without path and query, which are secret in a presigned URL."""
    if url.startswith("unix://"):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and one after another what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
