#!/bin/bash
# Ends PHP and returns when it is gone. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
end
