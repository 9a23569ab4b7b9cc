"""X.509 certificates: an authority that lasts, and what it signs. ECDSA on P-256 throughout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.embedded.accounts import Identity, caller
from deploy.embedded.files import write_private

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=365)
CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where a certificate and its private key lie."""

    certificate: Path
    key: Path

    @classmethod
    def at(cls, directory: Path, name: str) -> Pair:
        return cls(certificate=directory / f"{name}.crt", key=directory / f"{name}.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a certificate names, and what it is good for."""

    name: str
    organization: str | None = None
    """Kubernetes reads it as the user's group."""
    calls: bool = True
    """It proves who a client is."""
    serves: tuple[str, ...] = ()
    """Names and addresses at which it proves who a server is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, subject: Subject, to: Pair, *, owner: Identity) -> None:
        """A new key and certificate for `subject`, readable by `owner` alone."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(subject, key.public_key(), authority=self)
        write_private(to.key, _private_pem(key), owner=owner)
        write_private(to.certificate, certificate.public_bytes(Encoding.PEM), owner=owner)


def load_or_create_authority(name: str, at: Pair, *, readers: Identity) -> Authority:
    """The authority at `at`. Its key stays the caller's; `readers` may read the certificate."""
    if not at.certificate.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(at.key, _private_pem(key), owner=caller())
        pem = _self_signed(name, key).public_bytes(Encoding.PEM)
        write_private(at.certificate, pem, owner=readers)
    return Authority(
        certificate=x509.load_pem_x509_certificate(at.certificate.read_bytes()),
        key=_load_key(at.key),
    )


def ensure_token_key(private: Path, public: Path, *, owner: Identity) -> None:
    """The key that signs service accounts' tokens; kept, or every token would end with it."""
    if not private.exists():
        write_private(private, _private_pem(ec.generate_private_key(ec.SECP256R1())), owner=owner)
    spki = _load_key(private).public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    write_private(public, spki, owner=owner)


def _self_signed(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(names, key.public_key(), life=AUTHORITY_LIFE).issuer_name(names)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _certificate(
    subject: Subject, key: ec.EllipticCurvePublicKey, *, authority: Authority
) -> x509.Certificate:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, subject.name)]
    if subject.organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization))
    issuer = authority.certificate
    builder = _builder(x509.Name(names), key, life=CERTIFICATE_LIFE).issuer_name(issuer.subject)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_purposes(subject)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    if subject.serves:
        alternatives = x509.SubjectAlternativeName([_general_name(at) for at in subject.serves])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _builder(
    names: x509.Name, key: ec.EllipticCurvePublicKey, *, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(names)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _purposes(subject: Subject) -> list[x509.ObjectIdentifier]:
    client = [ExtendedKeyUsageOID.CLIENT_AUTH] if subject.calls else []
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if subject.serves else []
    return client + server


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds another kind of key")
    return key
