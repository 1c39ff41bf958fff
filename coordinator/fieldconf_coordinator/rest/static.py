"""The console's files, as they lie in the package's folder ``console``."""

import hashlib
import mimetypes
from pathlib import Path

from .envelope import Raw, Refusal
from .routes import ANYBODY, Call, Route

FOLDER = Path(__file__).parents[1] / "console"

# Nothing from elsewhere, no code but our own files, in nobody's frame.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cache-Control": "no-cache",
}


def console(call: Call) -> Raw:
    """Return the console's page."""
    return _file("index.html", call)


def console_file(call: Call) -> Raw:
    """Return one of the console's files."""
    return _file(call.params["path"], call)


def _file(name: str, call: Call) -> Raw:
    path = (FOLDER / name).resolve()
    if not (path.is_relative_to(FOLDER) and path.is_file()):
        raise Refusal(404, "not-found", f"there is no file {name!r} of the console")
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {**_HEADERS, "ETag": tag}
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind.endswith("javascript"):
        kind += "; charset=utf-8"
    if call.headers.get("if-none-match") == tag:
        return Raw(b"", kind, 304, headers)
    return Raw(content, kind, headers=headers)


ROUTES = [
    Route("GET", "/", console, ANYBODY, "The console.", kind="text/html"),
    Route(
        "GET",
        "/console/{path}",
        console_file,
        ANYBODY,
        "A file of the console.",
        kind="application/octet-stream",
    ),
]
