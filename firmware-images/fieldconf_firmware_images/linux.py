"""Sets up the agent on a machine with Linux at its first boot: cloud-init's user data.

Raspberry Pi OS and Ubuntu read it from the boot partition, clouds hand it to their machines. It
brings the settings of the node and a service, and has pip install Fieldconf into a folder of its
own.
"""

import json

FOLDER = "/var/lib/fieldconf"
UNIT = "/etc/systemd/system/fieldconf-agent.service"
_VENV = "/opt/fieldconf"

_SERVICE = f"""\
[Unit]
Description=Fieldconf's agent of node %s
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={_VENV}/bin/python -m fieldconf_microagent --dir {FOLDER}
# It ends on its own only when the node is given up.
Restart=on-failure
RestartSec=5
# Nothing changes until somebody mends the settings.
RestartPreventExitStatus=2
# What recipes started runs on when the agent is restarted.
KillMode=process

[Install]
WantedBy=multi-user.target
"""


def service(node: str) -> str:
    """Return the unit of systemd that runs the agent."""
    return _SERVICE % node


def user_data(node: str, settings: str, package: str) -> bytes:
    """Return a cloud-config document; JSON is YAML, and has one way to quote.

    Args:
        node: the node's id.
        settings: content of the agent's settings.
        package: what pip installs: a wheel's path on that machine, its URL, or a requirement.
    """
    document = {
        "package_update": True,
        "packages": ["python3-venv"],
        "write_files": [
            _file(f"{FOLDER}/settings.json", "0600", settings),
            _file(UNIT, "0644", service(node)),
        ],
        "runcmd": [
            ["chmod", "700", FOLDER],
            ["python3", "-m", "venv", _VENV],
            [f"{_VENV}/bin/pip", "install", package],
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", "fieldconf-agent.service"],
        ],
    }
    head = f"#cloud-config\n# Made by `fieldconf image`; it holds the key of node {node}.\n"
    return (head + json.dumps(document, indent=1) + "\n").encode()


def _file(path: str, permissions: str, content: str) -> dict[str, str]:
    return {"path": path, "permissions": permissions, "content": content}
