#!/bin/bash
# Ends with status 0 if Apache's processes live and answer.

. "$FIELDCONF_FILES_DIR/process.sh"
. "$FIELDCONF_FILES_DIR/http.sh"
processes >/dev/null || { echo "its process is gone"; exit 1; }
answers "$ip" "$port" /server-status
