#!/bin/bash
# Tomcat comes from Debian; ours is an instance of its own (a CATALINA_BASE) in our folder.

if ! [ -x /usr/share/tomcat10/bin/catalina.sh ]; then
    echo "needs Tomcat: apt install tomcat10-common"
    exit 1
fi
cd "$FIELDCONF_DATA_DIR" && mkdir -p conf logs temp webapps &&
    cp "$FIELDCONF_FILES_DIR/web.xml" conf/
