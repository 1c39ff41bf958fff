#!/bin/bash
# Apache comes from Debian; nothing of its is changed, no service of the system is used.

if ! [ -x /usr/sbin/apache2 ]; then
    echo "needs Apache: apt install apache2-bin"
    exit 1
fi
