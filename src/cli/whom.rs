//! The words of commands about contacts, their tags and views.

use clap::Args;

/// Whom an order is about, where it takes more than addresses.
#[derive(Args, Clone, Debug)]
pub struct WhomArgs {
    /// Everybody in a view
    #[arg(long)]
    pub view: Option<String>,
    /// Everybody for whom a condition holds (see `contacts --help`)
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
}

/// `tag`.
#[derive(Args, Debug)]
pub struct TagArgs {
    /// Whom (`-` reads addresses from standard input; left out with --view or --where), and the tag
    #[arg(required = true, num_args = 1..=2, value_names = ["ADDRESS", "TAG"])]
    pub words: Vec<String>,
    /// Or by what they are.
    #[command(flatten)]
    pub whom: WhomArgs,
}

/// `untag`.
#[derive(Args, Debug)]
pub struct UntagArgs {
    /// Whom (`-` reads addresses from standard input; left out with --view or --where), and the tag
    #[arg(required = true, num_args = 1..=2, value_names = ["ADDRESS", "TAG"])]
    pub words: Vec<String>,
    /// Or by what they are.
    #[command(flatten)]
    pub whom: WhomArgs,
    /// Why, for the history
    #[arg(long)]
    pub reason: String,
}

/// `assign` and `stage`.
#[derive(Args, Debug)]
pub struct LabelArgs {
    /// Whom (`-` reads addresses from standard input; left out with --view or --where), and the
    /// owner or stage; an empty one ('') takes it away
    #[arg(required = true, num_args = 1..=2, value_names = ["ADDRESS", "NAME"])]
    pub words: Vec<String>,
    /// Or by what they are.
    #[command(flatten)]
    pub whom: WhomArgs,
}

/// `tags`.
#[derive(Args, Debug)]
pub struct TagsArgs {
    /// Only those that nobody has
    #[arg(long)]
    pub unused: bool,
    /// Only pairs that are spelt nearly alike
    #[arg(long, conflicts_with = "unused")]
    pub similar: bool,
}

/// `view`.
#[derive(Args, Debug)]
pub struct ViewArgs {
    /// Which [default: all, with their sizes]
    pub name: Option<String>,
    /// One line per contact
    #[arg(long, requires = "name")]
    pub list: bool,
    /// What it is made of, how many each part holds, and what it hits by accident
    #[arg(long, requires = "name", conflicts_with = "list")]
    pub explain: bool,
}

/// `pools`.
#[derive(Args, Debug)]
pub struct PoolsArgs {
    /// List intention contacts that nobody touched for care.overdue_days, longest first
    #[arg(long)]
    pub overdue: bool,
}

/// `contacts`.
#[derive(Args, Debug)]
pub struct ContactsArgs {
    /// A view of the configuration
    #[arg(long, required_unless_present_any = ["tag", "condition"])]
    pub view: Option<String>,
    /// A tag
    #[arg(long)]
    pub tag: Option<String>,
    /// A condition as views have it, in TOML
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// One line per contact
    #[arg(long)]
    pub list: bool,
}
