//! Whose timeline an entry belongs to, and what it is called there.

use crate::book::contact::ContactId;
use crate::book::label::LabelKind;
use crate::feedback::entry::{Target, What};

impl What {
    /// The contact whose timeline this belongs to.
    #[must_use]
    pub fn contact(&self) -> Option<ContactId> {
        match self {
            Self::Imported { contact, .. }
            | Self::Updated { contact, .. }
            | Self::Tagged { contact, .. }
            | Self::Untagged { contact, .. }
            | Self::Unsubscribed { contact, .. }
            | Self::Noted { contact, .. }
            | Self::Labelled { contact, .. }
            | Self::Bounced { contact, .. }
            | Self::Complained { contact, .. }
            | Self::Replied { contact, .. }
            | Self::AutoReplied { contact, .. }
            | Self::StoppedFor { contact, .. }
            | Self::Decided { contact, .. }
            | Self::Suppressed { target: Target::Contact(contact), .. }
            | Self::Unsuppressed { target: Target::Contact(contact), .. } => Some(*contact),
            Self::Claimed { letter, .. }
            | Self::Accepted { letter, .. }
            | Self::Deferred { letter, .. }
            | Self::Refused { letter, .. }
            | Self::Unknown { letter, .. }
            | Self::Withdrawn { letter, .. }
            | Self::Expired { letter }
            | Self::Opened { letter, .. }
            | Self::Clicked { letter, .. } => Some(letter.contact),
            Self::StoreCreated { .. }
            | Self::TagDeclared { .. }
            | Self::ImportBegan { .. }
            | Self::ImportEnded { .. }
            | Self::DayOpened { .. }
            | Self::PlanFrozen { .. }
            | Self::DayClosed { .. }
            | Self::TemplateKept { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::BatchHeld { .. }
            | Self::BatchReleased { .. }
            | Self::RoundApproved { .. }
            | Self::Limited { .. }
            | Self::Suppressed { target: Target::Domain(_), .. }
            | Self::Unsuppressed { target: Target::Domain(_), .. } => None,
        }
    }

    /// The timeline kind, as the contract spells it; empty for what is no contact's event.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Imported { .. } | Self::Updated { .. } => "imported",
            Self::Tagged { .. } => "tagged",
            Self::Untagged { .. } => "untagged",
            Self::Suppressed { .. } => "suppressed",
            Self::Claimed { .. } => "claimed",
            Self::Accepted { .. } => "accepted",
            Self::Deferred { .. } => "deferred",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired { .. } => "expired",
            Self::Opened { .. } => "opened",
            Self::Clicked { .. } => "clicked",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Labelled { kind: LabelKind::Owner, .. } => "assigned",
            Self::Labelled { kind: LabelKind::Stage, .. } => "staged",
            Self::Bounced { .. } => "bounced",
            Self::Complained { .. } => "complained",
            Self::Replied { .. } => "replied",
            Self::AutoReplied { .. } => "auto-reply",
            Self::StoppedFor { .. } => "waiting",
            Self::Decided { .. } => "decided",
            Self::Noted { .. } | Self::Unsuppressed { .. } => "noted",
            _ => "",
        }
    }
}
