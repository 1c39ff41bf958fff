#!/bin/bash
# Ends with status 0 if PHP's processes live and listen.

. "$FIELDCONF_FILES_DIR/process.sh"
processes >/dev/null || { echo "its process is gone"; exit 1; }
exec 3<>"/dev/tcp/$ip/$port"
