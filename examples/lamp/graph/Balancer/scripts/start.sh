#!/bin/bash
# Starts Apache and returns when it answers. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
begin /usr/sbin/apache2 -D FOREGROUND -f "$FIELDCONF_RENDERED_DIR/httpd.conf"
echo "http://$ip:$port/ is answered by $Php_size"
