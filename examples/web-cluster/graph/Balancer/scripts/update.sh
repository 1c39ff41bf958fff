#!/bin/sh
# The agent has rendered backends.json anew: have the balancer read it. Its port stays open.
kill -s HUP "$(cat "$FIELDCONF_DATA_DIR/pid")" && echo "$Web_size web servers"
