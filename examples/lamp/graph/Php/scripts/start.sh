#!/bin/bash
# Starts PHP and returns when it listens. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
export PHP_FCGI_CHILDREN=4
begin "$port" env --chdir="$FIELDCONF_DATA_DIR/htdocs" php-cgi -b "$ip:$port"
echo "listens on $ip:$port"
