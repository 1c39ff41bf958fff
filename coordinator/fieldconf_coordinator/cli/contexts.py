"""Where the coordinator is that the command line asks, and what opens it.

On this box the data folder tells: `endpoint.json`, which only its owner can read. For others there
are contexts: address, token and trusted certificates, in a file that only its owner can read.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RequestError
from .client import Place, local

#: The name that stands for the coordinator on this box.
LOCAL = "local"


@dataclass
class Contexts:
    """What is saved: name → ``{"url", "token", "ca"}``, and which one is in use."""

    current: str = LOCAL
    known: dict[str, dict[str, str]] = field(default_factory=dict)

    def place(self, name: str, token: str = "", ca: str = "") -> Place:
        """Return where the one of this name is.

        Raises:
            RequestError: there is none.
        """
        row = self.known.get(name)
        if row is None:
            names = ", ".join([LOCAL, *sorted(self.known)])
            hint = f"there are: {names}; 'fieldconf login URL' makes one"
            raise RequestError("unknown-context", f"there is no context {name!r}", hint)
        return Place(row["url"], token or row.get("token", ""), ca or row.get("ca", ""))

    def server(self, server: str, token: str, ca: str) -> Place:
        """Return where a coordinator is that is named by its address, or by its context."""
        if "://" not in server:
            return self.place(server, token, ca)
        url = server.rstrip("/")
        for name, row in self.known.items():
            if row["url"] == url:
                return self.place(name, token, ca)
        return Place(url, token, ca)


def chosen(data: Path, server: str | None, ca: Path | None, data_is: str, server_is: str) -> Place:
    """Return where the coordinator is that is meant.

    What is said on the command line comes before the environment, that before the context in use,
    and that before the default data folder.

    Args:
        data: the data folder.
        server: address or context.
        ca: file of certificates to trust.
        data_is: ``said``, ``environment`` or ``default``.
        server_is: likewise.

    Raises:
        RequestError: it cannot be known, or does not run.
    """
    if server and (server_is == "said" or data_is != "said"):
        if server == LOCAL:
            return local(data)
        token = os.environ.get("FIELDCONF_TOKEN", "")
        return load().server(server, token, read_ca(ca))
    if data_is == "default":
        saved = load()
        if saved.current != LOCAL:
            return saved.place(saved.current, ca=read_ca(ca))
    return local(data)


def read_ca(path: Path | None) -> str:
    """Return the certificates of a file in PEM."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise RequestError("bad-ca", f"cannot read {path} as PEM: {error}") from error


# -- the file


def file() -> Path:
    """Return where contexts are saved."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "fieldconf" / "contexts.json"


def load() -> Contexts:
    """Return the saved contexts.

    Raises:
        RequestError: others could read the file, or it cannot be understood.
    """
    path = file()
    try:
        with open(path, encoding="utf-8") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & 0o077:
                text = f"others can read the tokens in {path}"
                raise RequestError("bad-contexts", text, f"chmod 600 {path}")
            return _read(json.load(opened))
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        text = f"cannot read {path}: {error}"
        raise RequestError("bad-contexts", text, "mend or delete it, then log in again") from error


def _read(told: Mapping[str, Any]) -> Contexts:
    known = {
        str(name): {"url": str(row["url"]), "token": str(row["token"]), "ca": str(row["ca"])}
        for name, row in told["contexts"].items()
    }
    return Contexts(str(told["current"]), known)


def save(contexts: Contexts) -> None:
    """Write the file, for its owner alone, whole or not at all.

    Raises:
        RequestError: it cannot be written.
    """
    path = file()
    new = path.with_suffix(".new")
    told = {"current": contexts.current, "contexts": contexts.known}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new.unlink(missing_ok=True)
        new.touch(0o600, exist_ok=False)
        new.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise RequestError("bad-contexts", f"cannot write {path}: {error.strerror}") from error
