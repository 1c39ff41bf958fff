"""The one place of the version, read by the package, the agent's report and the command line."""

VERSION = "0.1.0"
