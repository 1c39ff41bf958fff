# What start.sh, stop.sh and check.sh share: a service in the background. They stand in scripts/.

pid_file="$FIELDCONF_DATA_DIR/pid"
log="$FIELDCONF_DATA_DIR/log"

# Is this process ours? Its number may belong to another one by now; ours have our environment.
is_ours() {
    grep -qszxF "FIELDCONF_DATA_DIR=$FIELDCONF_DATA_DIR" "/proc/$1/environ"
}

# Does the process that we began live?
lives() {
    [ -s "$pid_file" ] && is_ours "$(cat "$pid_file")" && return
    echo "its process is gone"
    return 1
}

# Prints those of the group that we began, children that outlived their parent included.
processes() {
    [ -s "$pid_file" ] || return
    for pid in $(pgrep --pgroup "$(cat "$pid_file")"); do
        is_ours "$pid" && echo "$pid"
    done | grep .
}

# Starts a command that will listen at these ports, and waits until check.sh is content:
#   begin "8080 8443" command argument ...
begin() {
    if bash check.sh >/dev/null 2>&1; then
        echo "runs already"
        exit 0
    fi
    end
    local each
    for each in $1; do
        if (exec 3<>"/dev/tcp/$ip/$each") 2>/dev/null; then
            echo "port $each of $ip is in use by somebody else"
            exit 1
        fi
    done
    # Its output goes to a file: the agent's pipe ends when the agent does.
    setsid "${@:2}" </dev/null >"$log" 2>&1 &
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
    lives >/dev/null || signal=KILL
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
