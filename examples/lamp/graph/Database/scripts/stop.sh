#!/bin/bash
# Ends MariaDB and returns when it is gone. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
end
