#!/bin/bash
# Starts MariaDB and returns when it answers. May be repeated.

. "$FIELDCONF_FILES_DIR/process.sh"
# The socket's name is relative to the tables: whole paths may be too long for one.
begin "$port" /usr/sbin/mariadbd --no-defaults --user="$(id -un)" --datadir="$FIELDCONF_DATA_DIR/tables" \
    --bind-address="$ip" --port="$port" --socket=socket --pid-file=mariadb.pid \
    --init-file="$FIELDCONF_RENDERED_DIR/init.sql" --innodb-buffer-pool-size=16M
echo "listens on $ip:$port"
