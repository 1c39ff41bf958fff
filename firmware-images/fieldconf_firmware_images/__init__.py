"""Describes boards and builds what is written onto them."""
