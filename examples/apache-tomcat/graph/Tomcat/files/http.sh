# What check.sh needs.

# Asks host $1 at port $2 for page $3: status 0 if the answer begins with HTTP status 200.
answers() {
    if ! { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null; then
        echo "nobody answers at $1:$2"
        exit 1
    fi
    printf 'GET %s HTTP/1.0\r\n\r\n' "$3" >&3
    read -r -t 5 _ status _ <&3
    [ "$status" = 200 ] && return
    echo "http://$1:$2$3 answers ${status:-nothing}"
    exit 1
}
