#!/bin/sh
# Ends the service and returns when it is gone. Nothing running is fine.

pid_file="$FIELDCONF_DATA_DIR/pid"
pid=$(cat "$pid_file" 2>/dev/null)
[ -n "$pid" ] || exit 0

# Its number may belong to another process by now; ours names our folder.
runs() { grep -qsF -- "$FIELDCONF_DATA_DIR" "/proc/$pid/cmdline"; }

signal=TERM
for attempt in $(seq 100); do
    if ! runs; then
        rm -f "$pid_file"
        exit 0
    fi
    [ "$attempt" = 40 ] && signal=KILL
    kill -s "$signal" "$pid" 2>/dev/null
    sleep 0.05
done
echo "process $pid does not end"
exit 1
