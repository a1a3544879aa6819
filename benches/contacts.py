#!/usr/bin/env python3
"""Writes synthetic saved searches: `contacts.py ROWS SEED short|wide > rows.csv`.

The same ROWS, SEED and width give the same bytes anywhere: the random numbers are a splitmix64 of
our own. Domains end in .example, which nobody can own. Companies are uneven, as in life: a few have
hundreds of addresses, most a handful, and one address in eight is free mail. Every row carries a
batch tag (营销 01..30 or 阅读 01..10 of one audience) and two plain ones.

short: about 94 bytes a row, the measure of DESIGN §13.
wide:  400 bytes and more: name, title, company, country and five attributes.
"""

import sys

MASK = (1 << 64) - 1
FIRST = "ann ben cara dan ella finn gina hugo ines jack kate liam mona nora omar pia ravi sara tom vera".split()
LAST = "abbott barlow carver dalton ellery faure garcia holt ingram jarvis keating lopez moreau novak osborne parr quigley ramsey silva turner".split()
WORD = "atlas blue copper delta emerald falcon granite harbour iron jade kestrel lunar meridian north onyx polar quarry river summit tidal".split()
TRADE = "plant hire tools crane parts build steel works earth lifts".split()
COUNTRY = "Chile Belgium Canada France Germany Ireland Kenya Italy Norway Peru Senegal Japan Spain Sweden".split()
TITLE = ["Owner", "Sales Director", "Fleet Manager", "Purchasing Manager", "Regional Manager", "Workshop Manager"]
NOTE = (
    "hires out and services excavators wheel loaders graders and mobile cranes to road builders and quarries; "
    "keeps its own workshop buys used machines at auction twice a year and asks for spare parts by post"
).split()


class Draw:
    """splitmix64."""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % bound


def company(draw, companies):
    """A number below `companies`, small ones far more often than large ones."""
    lower = min(draw.below(companies), draw.below(companies))
    return lower * lower // companies


def tags(draw):
    series = f"阅读{1 + draw.below(10):02}" if draw.below(10) == 0 else f"营销{1 + draw.below(30):02}"
    return f"英语-经销-{series};a{draw.below(9)};b{draw.below(9)}"


def rows(count, seed, wide):
    draw = Draw(seed)
    companies = max(1, count * 3 // 20)
    yield "email,name,company,country,tags" + (",title,website,phone,street,founded,remarks" if wide else "")
    for n in range(count):
        first, last = FIRST[draw.below(20)], LAST[draw.below(20)]
        number = company(draw, companies)
        firm = f"{WORD[number % 20]}{TRADE[number // 20 % 10]}"
        host = f"{firm}{number}.example"
        if draw.below(8) == 0:
            host = "gmail.com"
        name = f"{first.title()} {last.title()}"
        country = COUNTRY[number % 14]
        row = f"{first[0]}{last}{n}@{host},{name},{firm.title()},{country},{tags(draw)}"
        if wide:
            words = [NOTE[draw.below(len(NOTE))] for _ in range(48)]
            street = f"{1 + draw.below(400)} {WORD[draw.below(20)].title()} Street; {10000 + draw.below(89999)}"
            row += f",{TITLE[draw.below(6)]},https://www.{firm}{number}.example/contact,+1 555 {1000000 + draw.below(8999999)}"
            row += f",{street},{1900 + draw.below(120)},{' '.join(words)}"
        yield row


def main():
    count, seed, width = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if width not in ("short", "wide"):
        sys.exit("the third argument is short or wide")
    out = open(1, "w", encoding="utf-8", newline="\n", buffering=1 << 20)
    for row in rows(count, seed, width == "wide"):
        out.write(row + "\n")
    out.flush()


main()
