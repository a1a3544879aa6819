//! Who fetched the pixel: a person, a proxy for a person, or a machine.

/// How an open is counted (DESIGN §9). Only the first two lead to a reading tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenClass {
    /// A person's own mail program or browser.
    Human,
    /// A proxy that fetches when a person looks (Gmail's image proxy).
    ProxyHuman,
    /// Fetched ahead, whether or not anybody looks.
    Prefetch,
    /// A scanner.
    Machine,
    /// Cannot be told.
    Unknown,
}
