#!/bin/bash
# Starts Tomcat and returns when it answers. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
cp "$FIELDCONF_RENDERED_DIR/server.xml" "$FIELDCONF_DATA_DIR/conf/" || exit 1
export CATALINA_BASE="$FIELDCONF_DATA_DIR"
# A small one, which ends when it cannot have its ports.
export CATALINA_OPTS="-Xmx96m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
CATALINA_OPTS+=" -Dorg.apache.catalina.startup.EXIT_ON_INIT_FAILURE=true"
begin "$portAJP $portHTTP" /usr/share/tomcat10/bin/catalina.sh run
echo "http://$ip:$portHTTP/"
