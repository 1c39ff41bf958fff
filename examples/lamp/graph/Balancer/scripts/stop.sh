#!/bin/bash
# Ends Apache and returns when it is gone. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
end
