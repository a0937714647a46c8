//! What the builder's methods have set.

use std::sync::Arc;

use super::endpoint_config::EndpointConfig;
use super::handling::HandlingConfig;
use super::selection::Selection;
use super::settings::Settings;
use crate::codec::Codec;
use crate::handler::States;
use crate::store::MessageStore;

/// The parts of an application that is not checked yet.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) store: Option<Arc<dyn MessageStore>>,
    pub(crate) codec: Option<Arc<dyn Codec>>,
    pub(crate) states: States,
    pub(crate) endpoint_config: EndpointConfig,
    pub(crate) handling: HandlingConfig,
    pub(crate) selection: Selection,
    /// The package that puts the application together.
    pub(crate) package: &'static str,
}

impl Parts {
    /// Those of an application for which nothing is set yet.
    pub(crate) fn new(package: &'static str) -> Self {
        #[cfg(feature = "json")]
        let codec: Option<Arc<dyn Codec>> = Some(Arc::new(crate::codec::Json));
        #[cfg(not(feature = "json"))]
        let codec = None;
        Self {
            settings: Settings::default(),
            store: None,
            codec,
            states: States::default(),
            endpoint_config: EndpointConfig::default(),
            handling: HandlingConfig::default(),
            selection: Selection::default(),
            package,
        }
    }
}
