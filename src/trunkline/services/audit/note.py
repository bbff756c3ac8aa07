"""Signed notes (C2SP signed-note v1.0.0) with Ed25519: the text form in which transparency logs sign.

A note is a text of lines, an empty line, and signature lines `— NAME BASE64(key id || signature)`. One key of
ours signs under several names; the key id depends on the name, so a signature cannot be moved from one log to
another.
"""

import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trunkline.errors import InvalidInput

_ED25519: Final = b"\x01"
_SIGNATURE_MARK: Final = "— "
_KEY_ID_BYTES: Final = 4


class BadNote(Exception):  # noqa: N818 - named for what it says of the note
    """The bytes are not a signed note, or no valid signature of the expected key is on it."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs notes with the private key."""

    key: Ed25519PrivateKey

    def sign(self, text: str, *, name: str) -> bytes:
        """The note over `text`, which ends in a newline, with one signature of `name`."""
        public = self.verifier.raw
        signature = _key_id(name, public) + self.key.sign(text.encode())
        return f"{text}\n{_SIGNATURE_MARK}{name} {b64encode(signature).decode()}\n".encode()

    @property
    def verifier(self) -> "Verifier":
        return Verifier(self.key.public_key())


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks notes with the public key."""

    key: Ed25519PublicKey

    @property
    def raw(self) -> bytes:
        return self.key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def vkey(self, name: str) -> str:
        """The verifier key for `name` as other C2SP tools read it: `NAME+KEYID+BASE64`."""
        key_id = _key_id(name, self.raw).hex()
        return f"{name}+{key_id}+{b64encode(_ED25519 + self.raw).decode()}"

    def open(self, note: bytes, *, name: str) -> str:
        """The text of the note. Raises `BadNote` unless this key has signed it as `name`.

        Signatures of others (witnesses) are allowed beside ours and not judged.
        """
        text, signatures = split_note(note)
        expected = _key_id(name, self.raw)
        for signer, signature in signatures:
            if signer != name or signature[:_KEY_ID_BYTES] != expected:
                continue
            try:
                self.key.verify(signature[_KEY_ID_BYTES:], text.encode())
            except InvalidSignature:
                raise BadNote(f"the signature of {name} does not fit the text") from None
            return text
        raise BadNote(f"there is no signature of {name} with this key")


def split_note(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """Text and signatures `(name, key id || signature)` of a note, unverified. Raises `BadNote`."""
    try:
        decoded = note.decode()
    except UnicodeDecodeError as error:
        raise BadNote("it is not UTF-8 text") from error
    text, found, rest = decoded.rpartition("\n\n")
    if not found or not rest.endswith("\n"):
        raise BadNote("it is cut off")
    signatures: list[tuple[str, bytes]] = []
    for line in rest.splitlines():
        name, _, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
        try:
            signature = b64decode(encoded, validate=True)
        except ValueError:
            signature = b""
        if not line.startswith(_SIGNATURE_MARK) or len(signature) <= _KEY_ID_BYTES:
            raise BadNote(f"{line[:80]!r} is not a signature line")
        signatures.append((name, signature))
    return text + "\n", signatures


def load_or_create_signer(path: Path) -> Signer:
    """The private key at `path` (PKCS #8 PEM, mode 0600), made on first use with `path.with_suffix(".pub")`
    beside it.

    Raises `InvalidInput` if the file is not an Ed25519 private key, or can neither be read nor be made.
    """
    try:
        pem = path.read_bytes() if path.exists() else _create_key(path)
    except OSError as error:
        raise InvalidInput(f"{path}: no signing key can be had there ({error.strerror})") from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"{path}: not a private key in PEM form; restore it from a backup") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(f"{path}: not an Ed25519 private key; restore it from a backup")
    signer = Signer(key)
    public = public_key_path(path)
    if not public.exists():
        _write_new(public, _public_pem(signer.verifier.key), mode=0o644)
    return signer


def load_verifier(path: Path) -> Verifier:
    """The public key at `path` (PEM). Raises `InvalidInput` if there is none or it is not Ed25519."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot read the public key ({error.strerror}); use --public-key FILE"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"{path}: not a public key in PEM form; use --public-key FILE") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput(f"{path}: not an Ed25519 public key; use --public-key FILE")
    return Verifier(key)


def public_key_path(private_key: Path) -> Path:
    """Where the public half of the key is."""
    return private_key.with_suffix(".pub")


def _create_key(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_new(path, pem, mode=0o600)
    return path.read_bytes()


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Create `path` with this content, whole or not at all; if another process was faster, its file stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]
