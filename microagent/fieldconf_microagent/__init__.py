"""The Fieldconf agent: one source for CPython and MicroPython."""
