#!/bin/sh
# Starts the service in the background and returns when it answers.
# May be called when it runs already, and after a start that was interrupted.

pid_file="$FIELDCONF_DATA_DIR/pid"
log="$FIELDCONF_DATA_DIR/log"

if [ -e "$pid_file" ] && "$FIELDCONF_PYTHON" -B check.py >/dev/null 2>&1; then
    echo "runs already"
    exit 0
fi
sh stop.sh || exit 1

# Its output goes to a file of its own: the agent's pipe ends when the agent does.
"$FIELDCONF_PYTHON" -B "$FIELDCONF_FILES_DIR/serve.py" "$FIELDCONF_DATA_DIR" \
    </dev/null >"$log" 2>&1 &
pid=$!
echo "$pid" >"$pid_file"

for attempt in $(seq 200); do
    if "$FIELDCONF_PYTHON" -B check.py >/dev/null 2>&1; then
        echo "listens on $ip:$port"
        exit 0
    fi
    # Once it has ended it has no command line any more.
    grep -qs . "/proc/$pid/cmdline" || break
    sleep 0.05
done
echo "does not answer on $ip:$port; its last words:"
tail -n 5 "$log"
sh stop.sh
exit 1
