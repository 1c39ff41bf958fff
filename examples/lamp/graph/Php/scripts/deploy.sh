#!/bin/bash
# PHP comes from Debian; what it runs lies in htdocs/ of our folder.

if ! command -v php-cgi >/dev/null || ! php-cgi -m | grep -qx mysqli; then
    echo "needs PHP for MariaDB: apt install php-cgi php-mysql"
    exit 1
fi
mkdir -p "$FIELDCONF_DATA_DIR/htdocs"
