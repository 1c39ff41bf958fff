"""The core: wishes and reports in, wants and target calls out; no I/O, no threads, no clock."""
