//! The handle everything in `fyrd` shares.

use std::collections::BTreeMap;
use std::path::Path;

use fyr_model::ObjectKey;
use fyr_plan::Inventory;
use rusqlite::Connection;

use crate::sqlite::{OpenError, ReadError, Readers, Schema, WriteError, Writer, open_writer};
use crate::{
    ApplicationState, Change, Claimed, ClusterFacts, Deployed, Deployment, MirrorFacts,
    application, facts, history, inventory,
};

/// The id is `FyrS` in ASCII.
const SCHEMA: Schema =
    Schema { application_id: 0x4679_7253, migrations: &[include_str!("schema.sql")] };

/// Why something was not stored or not read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database, or the thread that writes it, could not be started.
    #[error("cannot open the state")]
    Open(#[source] OpenError),
    /// The thread that writes it could not be started.
    #[error("cannot start the thread that writes the state")]
    Thread(#[source] std::io::Error),
    /// Nothing was stored.
    #[error("cannot store {what}")]
    Write {
        /// What was to be stored.
        what: String,
        /// Why not.
        source: WriteError,
    },
    /// Nothing was stored: an object belongs to another application.
    #[error("cannot store {what}")]
    Claimed {
        /// What was to be stored.
        what: String,
        /// Which object, and whose it is.
        source: Box<Claimed>,
    },
    /// It could not be read.
    #[error("cannot read {what}")]
    Read {
        /// What was to be read.
        what: String,
        /// Why not.
        source: ReadError,
    },
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// How each application stands. Only those that something was stored of.
    pub applications: BTreeMap<String, ApplicationState>,
    /// What each application has on each cluster: by application, then by cluster.
    pub inventories: BTreeMap<String, BTreeMap<String, Inventory>>,
    /// How the mirror of each repository does.
    pub mirrors: BTreeMap<String, MirrorFacts>,
    /// What is known of each cluster.
    pub clusters: BTreeMap<String, ClusterFacts>,
}

/// What became of a plan, as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutcomeRecord {
    /// The entries of the inventory that changed.
    pub inventory: Vec<Change>,
    /// How the application stands now.
    pub state: ApplicationState,
    /// The deployment to add to the history.
    pub deployment: Option<Deployment>,
}

/// What `fyrd` remembers. Clones share one writer and its readers.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Writer,
    readers: Readers,
}

impl Store {
    /// Opens the database at `path`, makes it if there is none, and brings it to the present form.
    /// Blocks on the disk.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open_writer(path, &SCHEMA).map_err(StoreError::Open)?;
        let writer = Writer::start(connection).map_err(StoreError::Thread)?;
        Ok(Self { writer, readers: Readers::new(path) })
    }

    /// Finishes what was asked for and closes the database; later writes fail.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Everything that is remembered, as of one moment. For the start: about a microsecond a row.
    pub async fn load_all(&self) -> Result<Snapshot, StoreError> {
        let load = |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            Ok(Snapshot {
                applications: application::all(&transaction)?,
                inventories: inventory::all(&transaction)?,
                mirrors: facts::mirrors(&transaction)?,
                clusters: facts::clusters(&transaction)?,
            })
        };
        self.read(|| "the state".to_owned(), load).await
    }

    /// What an application has on a cluster.
    pub async fn inventory(
        &self,
        application: &str,
        cluster: &str,
    ) -> Result<Inventory, StoreError> {
        let what = || format!("the inventory of {application} on cluster {cluster}");
        let (application, cluster) = (application.to_owned(), cluster.to_owned());
        self.read(what, move |connection| inventory::of(connection, &application, &cluster)).await
    }

    /// Which application each object of a cluster belongs to.
    pub async fn all_claims(
        &self,
        cluster: &str,
    ) -> Result<BTreeMap<ObjectKey, String>, StoreError> {
        let what = || format!("the claims on cluster {cluster}");
        let cluster = cluster.to_owned();
        self.read(what, move |connection| inventory::claims(connection, &cluster)).await
    }

    /// Stores changes of an inventory, all or none. Once this returns they are on the disk, and
    /// the plan they were written ahead for may begin.
    pub async fn apply_inventory(
        &self,
        application: &str,
        cluster: &str,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let what = || format!("the inventory of {application} on cluster {cluster}");
        let (application, cluster) = (application.to_owned(), cluster.to_owned());
        let work = move |connection: &Connection| {
            inventory::apply(connection, &application, &cluster, &changes)
        };
        let stored = self.write(what, work).await?;
        stored.map_err(|claimed| StoreError::Claimed { what: what(), source: Box::new(claimed) })
    }

    /// Stores what became of a plan, all or nothing; returns the number of the deployment in the
    /// history, if it has one.
    pub async fn record_outcome(
        &self,
        application: &str,
        cluster: &str,
        outcome: OutcomeRecord,
    ) -> Result<Option<u64>, StoreError> {
        let what = || format!("the outcome of a sync of {application} on cluster {cluster}");
        let (name, cluster) = (application.to_owned(), cluster.to_owned());
        let OutcomeRecord { inventory, state, deployment } = outcome;
        let work = move |connection: &Connection| {
            if let Err(claimed) = inventory::apply(connection, &name, &cluster, &inventory)? {
                return Ok(Err(claimed));
            }
            application::store(connection, &name, &state)?;
            let deployment = deployment.as_ref();
            deployment.map(|new| history::add(connection, &name, new)).transpose().map(Ok)
        };
        let stored = self.write(what, work).await?;
        stored.map_err(|claimed| StoreError::Claimed { what: what(), source: Box::new(claimed) })
    }

    /// Stores how an application stands, in place of what was known.
    pub async fn save_application(
        &self,
        application: &str,
        state: ApplicationState,
    ) -> Result<(), StoreError> {
        let name = application.to_owned();
        let work = move |connection: &Connection| application::store(connection, &name, &state);
        self.write(|| format!("how {application} stands"), work).await
    }

    /// Forgets an application: how it stands, its inventories, its history.
    pub async fn forget(&self, application: &str) -> Result<(), StoreError> {
        let name = application.to_owned();
        let work = move |connection: &Connection| {
            application::forget(connection, &name)?;
            inventory::forget(connection, &name)?;
            history::forget(connection, &name)
        };
        self.write(|| format!("that {application} is gone"), work).await
    }

    /// The newest `limit` deployments of an application, newest first. The last 1000 are kept.
    pub async fn history(
        &self,
        application: &str,
        limit: u32,
    ) -> Result<Vec<Deployed>, StoreError> {
        let name = application.to_owned();
        let read = move |connection: &Connection| history::newest(connection, &name, limit);
        self.read(|| format!("the history of {application}"), read).await
    }

    /// One deployment of an application, if it is still kept.
    pub async fn deployment(
        &self,
        application: &str,
        id: u64,
    ) -> Result<Option<Deployed>, StoreError> {
        let name = application.to_owned();
        let read = move |connection: &Connection| history::one(connection, &name, id);
        self.read(|| format!("deployment {id} of {application}"), read).await
    }

    /// Stores how the mirror of a repository does.
    pub async fn save_mirror(
        &self,
        repository: &str,
        facts: MirrorFacts,
    ) -> Result<(), StoreError> {
        let url = repository.to_owned();
        let work = move |connection: &Connection| facts::store_mirror(connection, &url, &facts);
        self.write(|| format!("how the mirror of {repository} does"), work).await
    }

    /// Forgets the mirror of a repository.
    pub async fn forget_mirror(&self, repository: &str) -> Result<(), StoreError> {
        let url = repository.to_owned();
        let work = move |connection: &Connection| facts::forget_mirror(connection, &url);
        self.write(|| format!("that the mirror of {repository} is gone"), work).await
    }

    /// Stores what is known of a cluster.
    pub async fn save_cluster(&self, cluster: &str, facts: ClusterFacts) -> Result<(), StoreError> {
        let name = cluster.to_owned();
        let work = move |connection: &Connection| facts::store_cluster(connection, &name, &facts);
        self.write(|| format!("what is known of cluster {cluster}"), work).await
    }

    async fn write<T, F>(&self, what: impl Fn() -> String, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let written = self.writer.write(work).await;
        written.map_err(|source| StoreError::Write { what: what(), source })
    }

    async fn read<T, F>(&self, what: impl Fn() -> String, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let read = self.readers.read(query).await;
        read.map_err(|source| StoreError::Read { what: what(), source })
    }
}
