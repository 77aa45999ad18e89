"""The fleet's own certificate authority, and the certificates that it gives to machines.

Each side of each connection shows a certificate of this authority. A certificate names the
addresses at which its machine answers, because whoever connects compares them.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from odllm_agent.clock import now
from odllm_agent.errors import UsageError
from odllm_agent.network.ray_environment import AUTHORITY, CERTIFICATE, KEY
from odllm_controller.head.folder import make_private, write_private

_AUTHORITY_KEY = "ca.key"
_VALID = timedelta(days=730)
# A laptop's clock may be behind.
_EARLIER = timedelta(days=1)
_MOST_ADDRESSES = 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def certificate(folder: Path, addresses: Sequence[str], out: Path) -> Path:
    """Gives a machine a certificate.

    Args:
        folder: The fleet folder, in which the authority is made if there is none.
        addresses: Names, addresses or networks at which the machine may answer; of a network such
            as 192.168.1.0/24 every address, so that a laptop may get another one there.
        out: The folder to make, with the certificate, its key and the authority's certificate.

    Returns:
        That folder.

    Raises:
        UsageError: It has a certificate already, or a network is too large.
    """
    authority, authority_key = _authority(folder)
    names = [*_names([*addresses, *_LOOPBACK])]
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _builder(addresses[0], authority.subject, key)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    make_private(out)
    try:
        write_private(out / KEY, _pem_of_key(key))
    except FileExistsError as error:
        raise UsageError(f"{out} has a certificate already", "name another folder") from error
    (out / CERTIFICATE).write_bytes(_pem(made))
    (out / AUTHORITY).write_bytes(_pem(authority))
    return out


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    place = make_private(make_private(folder) / "tls")
    if not (place / _AUTHORITY_KEY).exists():
        _make_authority(place)
    key = serialization.load_pem_private_key((place / _AUTHORITY_KEY).read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{place / _AUTHORITY_KEY} is no key of ODLLM's", f"remove {place}")
    return x509.load_pem_x509_certificate((place / AUTHORITY).read_bytes()), key


def _make_authority(place: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("odllm fleet")
    made = (
        _builder("odllm fleet", name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_MAY_SIGN, critical=True)
        .sign(key, hashes.SHA256())
    )
    (place / AUTHORITY).write_bytes(_pem(made))
    write_private(place / _AUTHORITY_KEY, _pem_of_key(key))


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - _EARLIER)
        .not_valid_after(now() + _VALID)
        # Python 3.13 takes no authority without it, and no certificate that does not name its.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _names(addresses: Iterable[str]) -> Iterable[x509.GeneralName]:
    for text in dict.fromkeys(addresses):
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            yield x509.DNSName(text)
            continue
        if network.num_addresses > _MOST_ADDRESSES:
            raise UsageError(f"{text} has too many addresses", f"{_MOST_ADDRESSES} at the most")
        yield from (x509.IPAddress(ip_address(each)) for each in network)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


_MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
