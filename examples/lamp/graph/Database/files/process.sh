# What start.sh, stop.sh and check.sh share: a service in the background. They stand in scripts/.

pid_file="$FIELDCONF_DATA_DIR/pid"
log="$FIELDCONF_DATA_DIR/log"

# Prints our processes, if there are any: all of the group that we began. Its number may belong to
# others by now; ours have our environment.
processes() {
    [ -s "$pid_file" ] || return
    for pid in $(pgrep --pgroup "$(cat "$pid_file")"); do
        grep -qszxF "FIELDCONF_DATA_DIR=$FIELDCONF_DATA_DIR" "/proc/$pid/environ" && echo "$pid"
    done | grep .
}

# Starts a command and waits until check.sh is content. Its output goes to a file: the agent's pipe
# ends when the agent does.
begin() {
    if bash check.sh >/dev/null 2>&1; then
        echo "runs already"
        exit 0
    fi
    end
    setsid "$@" </dev/null >"$log" 2>&1 &
    echo $! >"$pid_file"
    for attempt in $(seq 600); do
        bash check.sh >/dev/null 2>&1 && return
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    echo "it does not work: $(bash check.sh 2>&1); its last words:"
    tail -n 5 "$log"
    end
    exit 1
}

# Ends what begin started, and waits until it is gone. Nothing running is fine.
end() {
    local signal=TERM
    for attempt in $(seq 200); do
        if ! processes >/dev/null; then
            rm -f "$pid_file"
            return
        fi
        [ "$attempt" = 100 ] && signal=KILL
        kill -s "$signal" $(processes) 2>/dev/null
        sleep 0.1
    done
    echo "these processes do not end:" $(processes)
    exit 1
}
