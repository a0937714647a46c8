//! What is done about what endpoints need at a broker.

/// What is done about queues and the like that endpoints need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Declare {
    /// What is missing is made; what is there is compared.
    #[default]
    Provision,
    /// Nothing is made: what is missing, or is otherwise, is a problem at start.
    Check,
    /// The broker is asked for nothing: others see to it.
    Never,
}

impl Declare {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "provision" => Some(Self::Provision),
            "check" => Some(Self::Check),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}
