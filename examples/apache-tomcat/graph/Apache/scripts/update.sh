#!/bin/bash
# The agent has rendered workers.properties anew: have Apache read it. Nobody's request is cut off.

. "$FIELDCONF_FILES_DIR/process.sh"
said=$(/usr/sbin/apache2 -t -f "$FIELDCONF_RENDERED_DIR/httpd.conf" 2>&1) || { echo "$said"; exit 1; }
kill -s USR1 "$(cat "$pid_file")" && echo "http://$ip:$port/demo/ is answered by $Tomcat_size"
