#!/bin/bash
# Puts the application into Tomcat's folder and returns when it answers. May be repeated.

if bash check.sh >/dev/null 2>&1; then
    echo "is there already"
    exit 0
fi
# Tomcat may look at any moment, and must not find half of it.
new="$FIELDCONF_DATA_DIR/new"
place="$FIELDCONF_PARENT_DATA_DIR/webapps/$FIELDCONF_INSTANCE_NAME"
rm -rf "$new" "$place"
mkdir "$new" && cp "$FIELDCONF_RENDERED_DIR/index.jsp" "$new/" && mv "$new" "$place" || exit 1

for attempt in $(seq 300); do
    if bash check.sh >/dev/null 2>&1; then
        echo "http://$ANCESTOR_Tomcat_ip:$ANCESTOR_Tomcat_portHTTP/$FIELDCONF_INSTANCE_NAME/"
        exit 0
    fi
    sleep 0.1
done
bash check.sh
