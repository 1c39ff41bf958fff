#!/bin/bash
# Ends with status 0 if MariaDB's process lives and greets.

. "$FIELDCONF_FILES_DIR/process.sh"
lives || exit 1
{ exec 3<>"/dev/tcp/$ip/$port"; } 2>/dev/null || { echo "it does not listen"; exit 1; }
read -r -t 5 -n 1 _ <&3 || { echo "it does not greet"; exit 1; }
