#!/bin/bash
# Apache and mod_jk come from Debian; nothing of theirs is changed, no service of the system is used.

modules=/usr/lib/apache2/modules
if ! [ -x /usr/sbin/apache2 ] || ! [ -e "$modules/mod_jk.so" ]; then
    echo "needs Apache and mod_jk: apt install apache2-bin libapache2-mod-jk"
    exit 1
fi
