"""Servers that a person may meet instead of, or on the way to, a gateway."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOT_PASSED_ON = ("connection", "transfer-encoding", "content-length", "date", "server")


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(datetime.now(UTC), usegmt=True)


@contextmanager
def clock_shifting_proxy(target: str, *, by: timedelta) -> Iterator[str]:
    """Passes everything on, `Host` too, and shifts the time that answers tell."""

    class Handler(_Quiet):
        def _pass_on(self) -> None:
            length = int(self.headers.get("content-length", 0))
            with httpx.Client(base_url=target, trust_env=False) as http:
                answer = http.request(
                    self.command,
                    self.path,
                    headers=dict(self.headers.items()),
                    content=self.rfile.read(length) if length else None,
                )
            told = parsedate_to_datetime(answer.headers["date"]) + by
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                if name not in _NOT_PASSED_ON:
                    self.send_header(name, value)
            self.send_header("Date", format_datetime(told, usegmt=True))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = _pass_on

    with _serving(Handler) as url:
        yield url


@contextmanager
def greeting_server(
    *, certificate: Path | None = None, encoding: str | None = None
) -> Iterator[str]:
    """Something that answers and is no gateway; with a certificate over TLS, and with an encoding
    that its answer does not have."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            if encoding is not None:
                self.send_header("Content-Encoding", encoding)
            self.end_headers()
            self.wfile.write(b"hello")

    with _serving(Handler, certificate=certificate) as url:
        yield url


def make_certificate(folder: Path) -> Path:
    """For localhost, signed by itself; with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "certificate.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return file


@contextmanager
def _serving(
    handler: type[BaseHTTPRequestHandler], *, certificate: Path | None = None
) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{scheme}://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
