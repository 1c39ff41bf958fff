#!/bin/bash
# Starts Apache and returns when it answers. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
# Apache would believe it, though its number may be somebody else's by now.
lives >/dev/null || rm -f "$FIELDCONF_DATA_DIR/apache.pid"
begin "$port" /usr/sbin/apache2 -D FOREGROUND -f "$FIELDCONF_RENDERED_DIR/httpd.conf"
echo "http://$ip:$port/demo/ is answered by $Tomcat_size"
