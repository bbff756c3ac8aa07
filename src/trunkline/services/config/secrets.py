"""Finds what looks like a secret in a value: every instance of every service would know it, and the log.

A reference such as `file:/run/secrets/smtp` or `env:SMTP_PASSWORD` is what belongs there instead.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

REFERENCE: Final = re.compile(r"(?:env|file|secret|vault|k8s|keyring|aws-sm|gcp-sm|azure-kv):\S+")
"""What says where a secret is."""

_NAMED: Final = re.compile(
    r"(?:.*[._-])?(?:password|passwd|passphrase|secret|secrets|api_?key|access_?key|private_?key|auth_?token"
    r"|access_?token|refresh_?token|bearer_?token|signing_?key|credential|credentials)"
)
"""Names whose values are secrets."""

_SHAPES: Final = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("a Stripe key", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{20,}")),
    ("a webhook secret", re.compile(r"\bwhsec_[A-Za-z0-9+/=]{16,}")),
    ("a signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+")),
    ("a URL with a password", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@", re.IGNORECASE)),
)


def secret_in(key: str, value: Any) -> str | None:
    """What looks like a secret in the value of a setting, and where; None when nothing does."""
    for path, name, text in _texts(key, key.rpartition(".")[2], value):
        if not text or REFERENCE.fullmatch(text):
            continue
        if _NAMED.fullmatch(name.lower()):
            return f"{path} is called {name}"
        for shape, pattern in _SHAPES:
            if pattern.search(text):
                return f"{path} looks like {shape}"
    return None


def _texts(path: str, name: str, value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, dict):
        for member, inner in value.items():
            yield from _texts(f"{path}.{member}", str(member), inner)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _texts(f"{path}[{number}]", name, inner)
