"""The command line ``fieldconf``: a client of REST."""
