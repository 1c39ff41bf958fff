"""The installer `logger`: writes the step to the log, and runs nothing."""

from .installer import Installer, Request


class LoggerInstaller(Installer):
    """Needs neither recipe nor tool."""

    name = "logger"
    needs_recipe = False

    def command(self, request: Request, data_dir: str) -> bytes:
        return f"{request['step']} {request['path']}\n".encode()


INSTALLER = LoggerInstaller()
