#!/usr/bin/env python3
"""How often `tradewind inbound --explain` agrees with another reader of bounces.

  benches/peers/inbound.py CORPUS [--bin target/release/tradewind] [--list]

CORPUS holds mail/*.eml and expected.tsv (file, recipient, status, reply, reason, hard, feedback; one
line per recipient, `-` where it finds nobody). Recipients, hard or soft, and the status class (first
digit and subject) are compared recipient by recipient; a recipient that is missing counts as wrong in
every column that applies. Status is compared where the message itself names a code: the peer's x.0.9xx
are its own. --list prints every difference.
"""
import argparse, collections, json, pathlib, subprocess, sys, time

PLACEHOLDER = "@libsisimai.org.invalid"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    args.add_argument("corpus", type=pathlib.Path)
    args.add_argument("--bin", default="target/release/tradewind")
    args.add_argument("--list", action="store_true")
    args = args.parse_args()
    expected = collections.OrderedDict()
    for line in (args.corpus / "expected.tsv").read_text().splitlines()[1:]:
        file, address, status, reply, reason, hard, feedback = (line.split("\t") + [""] * 7)[:7]
        expected.setdefault(file, []).append((address, status, reply, reason, hard == "1", feedback))
    files = [str(args.corpus / "mail" / file) for file in expected]
    begun = time.monotonic()
    done = subprocess.run([args.bin, "inbound", "--explain", "--json", "--", *files], capture_output=True, text=True)
    took = time.monotonic() - begun
    if done.returncode not in (0, 65):
        sys.exit(f"{args.bin} ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    told = {}
    for line in done.stdout.splitlines():
        line = json.loads(line)
        if "file" in line:
            told[pathlib.Path(line["file"]).name] = line
    score = collections.Counter()
    for file, rows in expected.items():
        line = told.get(file, {"kind": "?", "recipients": [], "reason": ""})
        found = {r["address"].lower(): r for r in line["recipients"]}
        bounced = line["kind"] in ("bounce", "delayed", "delivered", "complaint")
        differs = []
        for address, status, reply, reason, hard, feedback in rows:
            if address == "-":
                score["nobody"] += 1
                score["nobody right"] += not bounced
                if bounced:
                    differs.append(f"nobody, found {list(found)}")
                continue
            placeholder = address.endswith(PLACEHOLDER)
            if not placeholder:
                score["recipients"] += 1
                score["recipients right"] += address.lower() in found
            own = found.get(address.lower()) or (next(iter(found.values()), None) if placeholder else None)
            if address.lower() not in found and not placeholder:
                differs.append(f"recipient {address} found {list(found)}")
            if feedback:
                score["feedback"] += 1
                score["feedback right"] += line["feedback"] == feedback
                continue
            score["hard or soft"] += 1
            right = own is not None and own["hard"] == hard
            score["hard or soft right"] += right
            if own and not right:
                differs.append(f"{reason} hard {hard}")
            invented = len(status.split(".")) != 3 or status.split(".")[2].startswith("9") and len(status.split(".")[2]) == 3
            if not invented and status not in ("5.0.0", "4.0.0"):
                score["status"] += 1
                same = own is not None and (own["status"] or "").split(".")[:2] == status.split(".")[:2]
                score["status right"] += same
                score["status exact"] += own is not None and own["status"] == status
                if own and not same:
                    differs.append(f"status {status} found {own['status']}")
            elif own:
                score["passing or not"] += 1
                right = (own["status"] or "?")[0] == status[0]
                score["passing or not right"] += right
                if not right:
                    differs.append(f"status {status} found {own['status']}")
        extra = set(found) - {row[0].lower() for row in rows}
        if extra and not any(row[0] == "-" or row[0].endswith(PLACEHOLDER) for row in rows):
            score["files with others"] += 1
            differs.append(f"also {sorted(extra)}")
        if differs and args.list:
            print(f"{file} [{line['kind']}] {'; '.join(differs)}\n    {line['reason'][:200]}")
    print(f"{len(files)} messages in {took:.3f} s, start of the program included: {len(files) / took:.0f}/s")
    for name in ("recipients", "hard or soft", "status", "passing or not", "feedback", "nobody"):
        of, right = score[name], score[name + " right"]
        exact = f", {score['status exact']} to the last digit" if name == "status" else ""
        print(f"{name:15} {right}/{of} {100 * right / max(of, 1):.1f} %{exact}")
    print(f"files with addresses that the peer does not name: {score['files with others']}")


main()
