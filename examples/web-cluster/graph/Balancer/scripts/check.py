"""Ends with status 0 if the service's process lives and answers."""

import os
import socket
import sys

ADDRESS = os.environ["ip"], int(os.environ["port"])
DATA_DIR = os.environ["FIELDCONF_DATA_DIR"]


def problem():
    """Return what is wrong, or None."""
    try:
        with open(f"{DATA_DIR}/pid") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline") as file:
            runs = DATA_DIR in file.read()
    except (OSError, ValueError):
        runs = False
    if not runs:
        return "its process is gone"
    try:
        with socket.create_connection(ADDRESS, timeout=3) as connection:
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            answer = connection.recv(100)
    except OSError as error:
        return f"it does not answer: {error}"
    return None if b" 200 " in answer else f"it answers {answer!r}"


sys.exit(problem())
