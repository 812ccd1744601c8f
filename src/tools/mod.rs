//! What the binary does beside serving: with a data folder while no broker uses it (`ottla storage`), and with a
//! broker that may run (`ottla health`).

mod dump;
mod folder;
mod health;
#[cfg(test)]
mod tests;
mod verify;

use std::io::{self, Write};

use crate::config::{Config, StorageCommand};
use crate::store::local::{LocalStore, OpenError};
use crate::store::{Store, StoreError};

pub use health::{HealthError, health};

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the store did not close: {0}")]
    Close(#[from] StoreError),
    #[error("cannot read the folder or write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{count} damaged places in {place}; keep the folder and restore what is damaged")]
    Damaged { place: String, count: usize },
}

impl StorageError {
    /// The exit code of a process that ends with this; `ottla storage --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            StorageError::Close(_) | StorageError::Output(_) => 1,
            StorageError::Open(_) => 4,
            StorageError::Damaged { .. } => 5,
        }
    }
}

/// Does what `ottla storage` was asked for with the data folder of `config`; what it has to say goes to `out`.
pub fn storage(
    command: &StorageCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), StorageError> {
    match command {
        StorageCommand::Dump(filter) => dump::dump(config, filter, out),
        StorageCommand::Verify => verify::verify(config, out),
        StorageCommand::Rebuild => rebuild(config, out),
    }
}

fn rebuild(config: &Config, out: &mut dyn Write) -> Result<(), StorageError> {
    let folder = config.data_folder();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (store, rebuilt) = LocalStore::rebuild_rows(&folder)?;
    runtime.block_on(store.close())?;
    let (rows, frame) = (rebuilt.rows, rebuilt.frame);
    let place = folder.display();
    writeln!(
        out,
        "row cache of {place} made anew: {rows} rows, as of frame {frame}"
    )?;
    Ok(())
}
