#!/bin/bash
# Takes the application away and returns when Tomcat has seen it. May be repeated.

rm -rf "$FIELDCONF_PARENT_DATA_DIR/webapps/$FIELDCONF_INSTANCE_NAME"
for attempt in $(seq 300); do
    bash check.sh >/dev/null 2>&1 || exit 0
    sleep 0.1
done
echo "Tomcat keeps it"
exit 1
