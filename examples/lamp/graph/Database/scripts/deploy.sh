#!/bin/bash
# MariaDB comes from Debian; ours keeps its tables in our folder. They outlive new versions.

for program in /usr/sbin/mariadbd /usr/bin/mariadb-install-db /usr/bin/my_print_defaults; do
    if ! [ -x "$program" ]; then
        echo "needs MariaDB: apt install mariadb-server-core mariadb-client-core"
        exit 1
    fi
done
cd "$FIELDCONF_DATA_DIR" || exit 1
[ -d tables ] && exit 0

# Half of them, from an attempt that was interrupted, are none.
rm -rf tables.new
mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$PWD/tables.new" \
    --auth-root-authentication-method=normal --skip-test-db >install.log 2>&1 &&
    mv tables.new tables && exit 0
tail -n 5 install.log
exit 1
