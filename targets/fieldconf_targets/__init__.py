"""Where nodes come from: the contract of a target, and the targets that are built in."""
