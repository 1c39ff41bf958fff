#!/bin/bash
# Ends with status 0 if the application answers.

. "$FIELDCONF_FILES_DIR/http.sh"
answers "$ANCESTOR_Tomcat_ip" "$ANCESTOR_Tomcat_portHTTP" "/$FIELDCONF_INSTANCE_NAME/"
