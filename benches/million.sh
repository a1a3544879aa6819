#!/usr/bin/env bash
# A million contacts: imported, planned, asked about, restarted. Prints one line per figure.
#
#   [TRADEWIND=BINARY] benches/million.sh [ROWS] [SEED]
#
# Two saved searches of ROWS rows (1,000,000) are made by contacts.py: short rows of 94 bytes, the
# measure of DESIGN §13, and wide ones of 400 bytes and more. Needs bash, python3 and some 3 GB in
# $TMPDIR; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${1:-1000000}
seed=${2:-1}
if [ -z "${TRADEWIND:-}" ]; then
    cargo build --release --locked --quiet
fi
tradewind=$(realpath "${TRADEWIND:-target/release/tradewind}")
home=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2> /dev/null || true; rm -rf "$home"' EXIT

# The shipped configuration with a shorter audience and plain tags of any name.
cp -r config/templates "$home/templates"
find "$home/templates" -name '法语*' -delete
sed -i 's/工程设备经销商/经销/g' "$home"/templates/*
sed -e 's/工程设备经销商/经销/g; s/, "法语-经销"//; s/^\[tags.groups\]/[tags]\nallow_new = true\n&/' \
    config/quickstart.toml > "$home/tradewind.toml"
clock=2024-09-05T07:00:00+08:00

say() { printf '%-44s %s\n' "$1" "$2"; }
tw() { "$tradewind" --config "$home/tradewind.toml" --store "$home/$width" --json "$@"; }
tenth() { awk -v n="$1" -v d="$2" 'BEGIN { printf "%.1f", n / d }'; }
bytes() { du -sb "$1" | cut -f 1; }
memory() { awk -v key="$2:" '$1 == key { printf "%.1f MiB", $2 / 1024 }' "/proc/$1/status"; }

processor() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / hz }' "/proc/$1/stat"; }

# Runs a command, its answer thrown away; sets `took` and `busy` (seconds) and `peak` (MiB).
measure() {
    read -r took busy peak < <(python3 - "$@" 3>&1 > /dev/null <<'PY'
import os, subprocess, sys, time
began = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
took = time.monotonic() - began
os.write(3, f"{took:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.1f}\n".encode())
sys.exit(os.waitstatus_to_exitcode(status))
PY
    )
}
timed() {
    measure "$tradewind" --config "$home/tradewind.toml" --store "$home/$width" --json "${@:2}"
    say "$width: $1" "$took s ($busy s of processor, peak $peak MiB)"
}

run() {
    local began ended socket=$home/$width/control.sock
    began=$(date +%s%N)
    "$tradewind" --config "$home/tradewind.toml" --store "$home/$width" run --clock "$clock" \
        2> "$home/log" &
    daemon=$!
    until [ -S "$socket" ]; do
        kill -0 "$daemon" || { cat "$home/log"; exit 1; }
        sleep 0.002
    done
    tw status > /dev/null
    ended=$(date +%s%N)
    say "$width: $1, start to first answer" \
        "$(((ended - began) / 1000000)) ms ($(processor "$daemon") ms of processor)"
}

stop() { kill "$daemon"; wait "$daemon" || true; daemon=; }

for width in short wide; do
    file=$home/$width.csv
    python3 benches/contacts.py "$rows" "$seed" "$width" > "$file"
    size=$(bytes "$file")
    say "$width: bytes a row" "$(tenth "$size" "$rows")"
    tw init > /dev/null
    timed "import" import "$file" --clock "$clock"
    say "$width: rows a second" "$(awk -v n="$rows" -v s="$took" 'BEGIN { printf "%.0f", n / s }')"
    say "$width: journal, bytes a contact" "$(tenth "$(bytes "$home/$width/journal")" "$rows")"
    say "$width: sled, bytes a contact" "$(tenth "$(bytes "$home/$width/sled")" "$rows")"
    timed "the same file again (all known)" import "$file" --clock "$clock"
    one=$(sed -n "$((rows / 2)){s/,.*//;p;q}" "$file")
    timed "plan, opening the store for it" plan --date 2024-09-05 --clock "$clock"
    run "run"
    sleep 3
    say "$width: resident when idle" "$(memory "$daemon" VmRSS)"
    timed "plan --date today, by socket" plan --date 2024-09-05
    timed "plan --date tomorrow, by socket" plan --date 2024-09-06
    timed "plan --date in 30 days, by socket" plan --date 2024-10-05
    timed "status, by socket" status
    timed "show, by socket" show "$one"
    timed "why, by socket" why "$one" --date 2024-09-05
    say "$width: resident after planning (peak)" \
        "$(memory "$daemon" VmRSS) ($(memory "$daemon" VmHWM))"
    timed "plan --list of today, by socket" plan --date 2024-09-05 --list
    stop
    rm -rf "${home:?}/$width/sled"
    run "memory rebuilt from the journal"
    stop
    say "$width: sled after a rebuild, bytes a contact" "$(tenth "$(bytes "$home/$width/sled")" "$rows")"
    rm -rf "${home:?}/$width"
    # The same import handed to a running daemon.
    tw init > /dev/null
    run "run, on an empty store"
    timed "import, by socket" import "$file"
    say "$width: resident after it (peak)" "$(memory "$daemon" VmRSS) ($(memory "$daemon" VmHWM))"
    stop
    rm -rf "${home:?}/$width" "$file"
done
