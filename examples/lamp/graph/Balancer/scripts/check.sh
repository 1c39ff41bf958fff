#!/bin/bash
# Ends with status 0 if Apache's process lives and answers.

. "$FIELDCONF_FILES_DIR/process.sh"
. "$FIELDCONF_FILES_DIR/http.sh"
lives || exit 1
answers "$ip" "$port" /server-status
