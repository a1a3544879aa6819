//! Examples at the foot of each command's help: what people copy before they read.

/// Of `first_steps`.
pub const FIRST_STEPS: &str = "\
Five minutes to see it all:  tradewind quickstart
A store of your own:         tradewind init --config tradewind.toml && tradewind run
Exit codes: 0 done, 1 a bad finding, 64 usage, 65 bad data, 66 no such thing, 73 cannot create,
74 input/output, 75 try later, 77 not permitted, 78 configuration or store.";

/// Of `forecast`.
pub const FORECAST: &str = "\
Examples:
  tradewind forecast --days 60
  tradewind forecast --days 365 --opens 30 --replies 2 --seed 7 --json

The same planner as every day's, over a copy of the book: all letters accepted, a share of them opened
and answered. The same seed gives the same days.";

/// Of `sink`.
pub const SINK: &str = "\
Example:
  tradewind sink letters --port 2525   and a relay marked `sink = true` in the configuration

For drills: prints the address it listens on, then keeps every letter until it is stopped. A
recipient such as defer-once.ann@acme.example, refuse.… or cut-after-dot.… misbehaves as named.";

/// Of `run`.
pub const RUN: &str = "\
Examples:
  tradewind run --config tradewind.toml
  tradewind run --clock 2024-09-05T09:00:00+08:00 --clock-speed 3600   an hour a second

Signals: HUP reload, TERM drain and stop, USR1 status to the log, USR2 pause or resume.";

/// Of `import`.
pub const IMPORT: &str = "\
Examples:
  search-export | tradewind import --tag 英语-工程设备经销商-营销05
  tradewind import dealers.csv --tag 英语-工程设备经销商-营销05 --spread --verdicts verdicts.csv
  tradewind import dealers.csv --tag 英语-工程设备经销商-营销06 --cap 20   (takes ranks 11..20)
  tradewind import list.xlsx --tag 同行 --map 'E-Mail der Firma=email'

An interrupted import may be run again: what was taken in is `known` then.";

/// Of `plan`.
pub const PLAN: &str = "\
Examples:
  tradewind plan
  tradewind plan --date 2024-09-05
  tradewind plan --date 2024-09-05 --list --json | jq 'select(.reason == \"company-cap\")'";

/// Of `report`.
pub const REPORT: &str = "\
Examples:
  tradewind report --date 2024-09-05
  tradewind report --from 2024-09-01 --to 2024-09-30 --json";

/// Of `suppress`.
pub const SUPPRESS: &str = "\
Examples:
  tradewind suppress ann@acme.example --reason 'asked by phone'
  tradewind suppress @acme.example --reason 'their lawyer wrote'
  old-tool --unsubscribed | tradewind suppress - --reason 'list of the earlier tool'
  tradewind suppress list
  tradewind suppress export > suppressed.jsonl
  tradewind suppress remove ann@acme.example --reason 'asked to be back'";

/// Of `keygen`.
pub const KEYGEN: &str = "\
Examples:
  tradewind keygen acme.example --selector tw1
  tradewind keygen acme.example --selector tw2 --algorithm ed25519 --out /etc/tradewind/tw2.pem
  tradewind keygen acme.example --selector tw1 --show tw1.pem";

/// `contacts`.
pub const CONTACTS: &str = "\
Examples:
  tradewind contacts --view 不发邮箱
  tradewind contacts --tag 英语-工程设备经销商-营销05 --list
  tradewind contacts --where 'domain = { ends_with = \".de\" }' --list
  tradewind contacts --where 'attr = { name = \"country\", \"=\" = [\"DE\", \"AT\"] }'
  tradewind contacts --where 'attr = { name = \"employees\", \">=\" = 50 }' --tag 询盘
  tradewind contacts --where '{ all = [{ opens = { \">=\" = 2, within_days = 60 } },
                                       { last_touched = { before_days = 7 } }] }'

Several options narrow the choice. A condition is TOML, as under [[views]]:
  any | all = [{ … }, { … }]    not = { … }    company_has = { … }    view = NAME
  tag = NAME | \"PREFIX*\" | [ … ]    tag_group = GROUP    owner | stage = NAME | { exists = false }
  address | domain = { starts_with | ends_with | contains | equals = TEXT | [ … ] }
  company = DOMAIN | [ … ]    source = TEXT | [ … ]
  attr = { name = COLUMN, OP = VALUE }   OP: \"=\" \"!=\" \"<\" \"<=\" \">\" \">=\" contains
      starts_with ends_with exists; numbers and dates (2024-09-05) compare as such
  letters | opens | clicks | replies = { \">=\" = 2, within_days = 60 }   counted in days
  last_sent | last_opened | last_clicked | last_replied | last_touched | created =
      { before_days = 90 } | { within_days = 7 } | { \">=\" = 2024-09-01 } | \"never\"";

/// `tag`.
pub const TAG: &str = "\
Examples:
  tradewind tag ann@acme.example 询盘
  cut -d, -f1 list.csv | tradewind tag - 同行
  tradewind tag --view 阅读客户 VIP
  tradewind tag --where 'domain = { ends_with = \".edu\" }' 不发";

/// `assign`.
pub const ASSIGN: &str = "\
Examples:
  tradewind assign ann@acme.example wang
  tradewind assign --where 'attr = { name = \"country\", \"=\" = \"DE\" }' li
  tradewind assign ann@acme.example ''   (nobody's any more)
  tradewind contacts --where 'owner = \"wang\"' --list";

/// `stage`.
pub const STAGE: &str = "\
Examples:
  tradewind stage ann@acme.example quoted
  tradewind contacts --where 'stage = [\"quoted\", \"sample sent\"]'

Stages are free text unless care.stages declares them.";

/// `view`.
pub const VIEW: &str = "\
Examples:
  tradewind view
  tradewind view 不发邮箱
  tradewind view 不发邮箱 --list
  tradewind view 不发邮箱 --explain";
