"""Serves the console: its page at ``/``, what the page is made of below ``/console/``.

These routes are for people: they stand beside the table of the interface, not in it.
"""

from .. import console
from .envelope import Raw, Refusal
from .routes import ANYBODY, Call, Route

#: Nothing but our own files may run, be shown or be asked: text of strangers stays text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_files = console.files()


def show_page(call: Call) -> Raw:
    """Return the page; which of its pages shows stands in the URL's hash."""
    return _file(call, "index.html")


def show_file(call: Call) -> Raw:
    """Return a part of the page."""
    return _file(call, call.params["path"])


def _file(call: Call, path: str) -> Raw:
    found = _files.get(path)
    if found is None:
        raise Refusal(404, "not-found", f"there is nothing at {call.path}")
    headers = {
        "Content-Security-Policy": POLICY,
        "ETag": found.tag,
        # Kept by the browser, asked after each time: an upgraded coordinator shows at once.
        "Cache-Control": "no-cache",
    }
    if call.headers.get("if-none-match") == found.tag:
        return Raw(b"", found.type, 304, headers)
    return Raw(found.body, found.type, headers=headers)


ROUTES = [
    Route("GET", "/", show_page, ANYBODY, "The console.", kind="text/html"),
    Route("GET", "/console/{path}", show_file, ANYBODY, "A part of it.", kind="text/html"),
]
