#!/usr/bin/env bash
# Letters a second: Tradewind (plan, claim, compose, sign, send, remember) beside Postfix's own
# generator (which only sends), against the same smtp-sink, in one run on one machine.
#
#   cargo build --release --locked && N=20000 benches/peers/smtp.sh
#
# Needs Debian's postfix (neither configured nor started) and python3. Prints a table; the last
# column is the ratio to smtp-source.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:/usr/sbin:/usr/lib/postfix/sbin"

tradewind="${TRADEWIND:-$PWD/target/release/tradewind}"
letters="${N:-20000}"
sessions="${SESSIONS:-20}"
port="${PORT:-2526}"
dir="$(mktemp -d)"
running=()
finish() {
    for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT

# The sink refuses to be root.
as_user=()
[ "$(id -u)" -ne 0 ] || as_user=(-u nobody)
smtp-sink "${as_user[@]}" "127.0.0.1:$port" 256 &
running+=($!)
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done

now() { date +%s.%N; }
rate() { awk -v n="$letters" -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", n / (b - a) }'; }
unit=""
row() {
    unit="${unit:-$2}"
    awk -v what="$1" -v rate="$2" -v unit="$unit" \
        'BEGIN { printf "%-34s %10d %8.2f\n", what, rate, rate / unit }'
}

source_once() {
    local from to
    from="$(now)"
    smtp-source -s "$sessions" -m "$letters" -l 4096 -d "127.0.0.1:$port"
    to="$(now)"
    rate "$from" "$to"
}

# Twenty contacts in each company: the cap stops nobody.
contacts() {
    echo email
    awk -v n="$letters" 'BEGIN { for (i = 0; i < n; i++) printf "p%d@c%d.example\n", i, i / 20 }'
}

tradewind_once() {
    local home="$dir/$1" config="$dir/$1/tradewind.toml" from to status
    mkdir -p "$home"
    sed -e "s|\"templates\"|\"$PWD/config/templates\"|" -e 's|^transport = .*|transport = "relay"|' \
        -e 's|^company_per_day_max = .*|company_per_day_max = 20|' config/quickstart.toml > "$config"
    printf '\n[[relay]]\nhost = "127.0.0.1"\nport = %s\nsink = true\nconnections = %s\n' \
        "$port" "$sessions" >> "$config"
    shift
    for algorithm in "$@"; do
        "$tradewind" keygen tradewind.example --selector "$algorithm" --algorithm "$algorithm" \
            --out "$home/$algorithm.pem" > /dev/null
        printf '\n[[dkim]]\ndomain = "tradewind.example"\nselector = "%s"\nkey_file = "%s.pem"\n' \
            "$algorithm" "$algorithm" >> "$config"
    done
    local us=("$tradewind" --config "$config" --store "$home/store" --json)
    "${us[@]}" init > /dev/null
    "${us[@]}" --clock 2024-09-05T07:00:00+08:00 import --tag 英语-工程设备经销商-营销05 --cap 0 \
        < <(contacts) > /dev/null
    "${us[@]}" run --clock 2024-09-05T07:30:00+08:00 2> "$home/log" &
    local daemon=$!
    running+=("$daemon")
    until [ -S "$home/store/control.sock" ]; do kill -0 "$daemon"; done
    from="$(now)"
    "${us[@]}" clock --to 2024-09-05T09:00:00+08:00 > /dev/null
    to="$(now)"
    status="$("${us[@]}" status)"
    kill "$daemon"
    wait "$daemon" || true
    python3 -c 'import json, sys; told = json.loads(sys.argv[1])["accepted"]
sys.exit(0 if told == int(sys.argv[2]) else f"accepted {told} of {sys.argv[2]}")' "$status" "$letters"
    rate "$from" "$to"
}

printf '%-34s %10s %8s\n' "$letters letters, $sessions sessions" "letters/s" "ratio"
row "smtp-source (4,096 bytes)" "$(source_once)"
row "tradewind, unsigned" "$(tradewind_once plain)"
row "tradewind, Ed25519" "$(tradewind_once small ed25519)"
row "tradewind, RSA-2048" "$(tradewind_once large rsa)"
row "smtp-source once more" "$(source_once)"
