//! Connections to object stores, by name: what an endpoint is, who we are there, and one client for each.
//!
//! Nothing of it is part of a plan. Whoever runs the engine says once where connections are described; that is asked
//! when one is first used, and again when its credentials are about to expire. Secrets are kept here only, and no
//! form of these types that is printed shows them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use serde::Deserialize;

use super::client::Client;
use crate::{Error, Result};

/// How a store is reached, as it is described outside of the engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Scheme, host and port; none: Amazon's for the region.
    pub endpoint: Option<String>,
    /// What requests are signed for.
    pub region: String,
    /// Who sends them.
    pub credentials: Credentials,
    /// Bytes of the largest object that a request copies within the store; none: Amazon's limit.
    #[serde(default)]
    pub largest_copy_bytes: Option<u64>,
}

/// Who sends requests.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Names the identity.
    pub access_key_id: String,
    /// Proves it.
    pub secret_access_key: String,
    /// Goes with keys that expire.
    #[serde(default)]
    pub session_token: Option<String>,
    /// When they expire, in seconds since 1970; none: never.
    #[serde(default)]
    pub expires_at_s: Option<f64>,
    /// Where they were found, for people.
    #[serde(default)]
    pub origin: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Whether what is known of a connection will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// What was found before is as good.
    Any,
    /// Its credentials have to be new.
    Renewed,
}

/// Describes the connection of a name (empty: the default one) as JSON.
pub type Describe = Box<dyn Fn(&str, Fresh) -> Result<String> + Send + Sync>;

static DESCRIBE: OnceLock<Describe> = OnceLock::new();
static CLIENTS: Mutex<Option<HashMap<String, Arc<Client>>>> = Mutex::new(None);

/// Say where connections are described; only the first word counts.
pub fn describe_by(describe: Describe) {
    let _ = DESCRIBE.set(describe);
}

/// Ask for the description of a connection.
pub(super) fn description(name: &str, fresh: Fresh) -> Result<Description> {
    let describe = DESCRIBE.get().ok_or_else(|| Error::InvalidPlan("no connections are described".to_owned()))?;
    serde_json::from_str(&describe(name, fresh)?).map_err(|error| Error::InvalidPlan(format!("connection: {error}")))
}

/// The client of a connection, made when it is first asked for.
pub(super) fn client(name: &str) -> Result<Arc<Client>> {
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let clients = clients.get_or_insert_default();
    if let Some(client) = clients.get(name) {
        return Ok(Arc::clone(client));
    }
    let client = Arc::new(Client::new(name, description(name, Fresh::Any)?)?);
    clients.insert(name.to_owned(), Arc::clone(&client));
    Ok(client)
}
