"""What is kept of passwords and of random secrets."""

import hashlib
import hmac
import secrets
import threading

# n, r, p of scrypt: some 50 ms and 16 MB each.
_COST = (1 << 14, 8, 1)


def hash_password(password: str) -> bytes:
    """Return what is kept of a password."""
    salt = secrets.token_bytes(16)
    return ":".join(
        ["scrypt", *map(str, _COST), salt.hex(), _scrypt(password, salt, _COST)]
    ).encode()


def is_password(password: str, kept: bytes) -> bool:
    """Tell whether `kept` was made of this password."""
    _, n, r, p, salt, digest = kept.decode().split(":")
    cost = (int(n), int(r), int(p))
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt), cost), digest)


# Not all threads at once.
_hashing = threading.Semaphore(2)


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> str:
    n, r, p = cost
    with _hashing:
        return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=32).hex()


def digest_of(secret: str) -> str:
    """Return what is kept of a token or a session id."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
