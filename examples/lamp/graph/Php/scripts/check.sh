#!/bin/bash
# Ends with status 0 if PHP's process lives and listens.

. "$FIELDCONF_FILES_DIR/process.sh"
lives || exit 1
{ exec 3<>"/dev/tcp/$ip/$port"; } 2>/dev/null || { echo "it does not listen"; exit 1; }
