"""Verifies every DKIM signature of every *.eml in a directory with dkimpy.

records.json there maps names of TXT records to their values. One line per signature:
FILE INDEX ok|bad
"""

import json
import pathlib
import sys

import dkim
import nacl  # noqa: F401  dkimpy verifies Ed25519 only with it

directory = pathlib.Path(sys.argv[1])
records = json.loads((directory / "records.json").read_text())


def txt(name, timeout=5):
    return records.get(name.decode().rstrip("."), "").encode()


for path in sorted(directory.glob("*.eml")):
    message = path.read_bytes()
    count = sum(name.lower() == b"dkim-signature" for name, _ in dkim.rfc822_parse(message)[0])
    for index in range(count):
        try:
            good = dkim.DKIM(message).verify(idx=index, dnsfunc=txt)
        except dkim.DKIMException as why:
            print(why, file=sys.stderr)
            good = False
        print(path.name, index, "ok" if good else "bad")
