//! The reasons of a plan: the closed list of DESIGN §6, in the order in which they are asked.

use std::fmt;

/// Why somebody in a due batch is not written to, in the order they are asked. Shown as DESIGN §6
/// spells them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// On the suppression list.
    Suppressed,
    /// A human reply is undecided.
    Waiting,
    /// In this exclusion view.
    View(String),
    /// Has a letter that is still alive.
    InFlight,
    /// Was written to today.
    AlreadyToday,
    /// Was written to too few days ago.
    Gap,
    /// The batch is held.
    Held,
    /// No template is declared for the audience and series.
    NoTemplate,
    /// Outside the hours of sending.
    Window,
    /// Goes out in another batch of the day.
    OtherBatch,
    /// Her company has had its letters of the day.
    CompanyCap,
    /// The sender identity has had its letters of the day.
    SenderCap,
    /// The provider has had its letters of the day.
    ProviderCap,
    /// The house has had its letters of the day.
    DayCap,
}

impl Reason {
    /// Whether the contact goes out on a following day. Everything else is final for the round: a
    /// letter alive or sent today puts the next day within the gap anyhow.
    #[must_use]
    pub fn carries(&self) -> bool {
        match self {
            Self::Held
            | Self::Window
            | Self::CompanyCap
            | Self::SenderCap
            | Self::ProviderCap
            | Self::DayCap => true,
            Self::Suppressed
            | Self::Waiting
            | Self::View(_)
            | Self::InFlight
            | Self::AlreadyToday
            | Self::Gap
            | Self::NoTemplate
            | Self::OtherBatch => false,
        }
    }

    /// Reads what `Display` writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "suppressed" => Self::Suppressed,
            "waiting" => Self::Waiting,
            "in-flight" => Self::InFlight,
            "already-today" => Self::AlreadyToday,
            "gap" => Self::Gap,
            "held" => Self::Held,
            "no-template" => Self::NoTemplate,
            "window" => Self::Window,
            "other-batch" => Self::OtherBatch,
            "company-cap" => Self::CompanyCap,
            "sender-cap" => Self::SenderCap,
            "provider-cap" => Self::ProviderCap,
            "day-cap" => Self::DayCap,
            _ => Self::View(text.strip_prefix("view:")?.to_owned()),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suppressed => "suppressed",
            Self::Waiting => "waiting",
            Self::View(name) => return write!(f, "view:{name}"),
            Self::InFlight => "in-flight",
            Self::AlreadyToday => "already-today",
            Self::Gap => "gap",
            Self::Held => "held",
            Self::NoTemplate => "no-template",
            Self::Window => "window",
            Self::OtherBatch => "other-batch",
            Self::CompanyCap => "company-cap",
            Self::SenderCap => "sender-cap",
            Self::ProviderCap => "provider-cap",
            Self::DayCap => "day-cap",
        })
    }
}
