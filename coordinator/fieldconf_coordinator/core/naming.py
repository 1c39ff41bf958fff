"""What is said of an instance that is asked for and is not there: which one may have been meant."""

from collections.abc import Collection

from fieldconf_dsl.errors import meant, quoted

from ..errors import FleetError
from .model import Application


def unknown_instance(
    app: Application, path: str, hint: str = "'fieldconf status' lists them"
) -> FleetError:
    """Return the refusal of a path that an application does not have."""
    if path.strip("/") == app.name:
        hint = f"{app.name} is the application: for all of it, 'fieldconf … --app {app.name}'"
    text = f"there is no instance {meant_path(path, app.paths)} in {app.name}"
    return FleetError("unknown-instance", text, hint)


def meant_path(path: str, paths: Collection[str]) -> str:
    """Return a path in quotes, and which of the others may be meant: of a last name first."""
    end = "/" + path.rpartition("/")[2]
    same = next((one for one in paths if one.endswith(end) and one != path), None)
    if same is not None and end != "/":
        return f"{quoted(path)} (did you mean {quoted(same)}?)"
    return meant(path, paths)
