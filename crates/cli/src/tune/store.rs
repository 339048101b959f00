//! The trials of a search in a file of SQLite: written as they go, shared by processes, and there after a kill.
//!
//! A process that searches holds a lock on a file of its own in `workers/`, which ends with it, however it ends. A trial that runs
//! names its process; if that holds its lock no more, the trial is forgotten, and chosen again as it was.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pellucid::tune::{Next, Search, Trial, Verdict};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::Value;

use crate::error::{Failure, Outcome};
use crate::run_folder::SEARCH;

const WORKERS: &str = "workers";

/// How long a process waits for others that write.
const PATIENCE: Duration = Duration::from_secs(60);

/// `what`: all that the trials depend on, as JSON; one row. A trial's values, reports and verdict are JSON too.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS search (what TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS trials (
        number INTEGER PRIMARY KEY, choice TEXT NOT NULL, reports TEXT NOT NULL, verdict TEXT,
        problem TEXT, seconds REAL, worker TEXT NOT NULL
    );";

/// The trials of a search, as one thread sees them.
pub struct Store {
    connection: Connection,
    folder: PathBuf,
    worker: Arc<Worker>,
}

/// This process, for the others: it lives as long as the lock is held.
struct Worker {
    name: String,
    _lock: File,
    path: PathBuf,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is only tidied up: a file that stays holds no lock.
        let _ = fs::remove_file(&self.path);
    }
}

/// A trial as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The trial.
    pub trial: Trial,
    /// Why it failed, if it did.
    pub problem: Option<String>,
    /// Seconds that it took, if it has ended.
    pub seconds: Option<f64>,
}

/// What there is to do.
pub enum Claim {
    /// This trial, with all that is known.
    Trial(Box<(Trial, Search)>),
    /// Nothing, until another one has ended.
    Wait,
    /// Nothing more.
    End,
}

impl Store {
    /// Opens the search in a folder, or begins it; `what` are the settings that its trials depend on.
    ///
    /// # Errors
    /// A file that cannot be opened or is of another search.
    pub fn open(folder: &Path, what: &Value) -> Outcome<Store> {
        let path = folder.join(WORKERS);
        fs::create_dir_all(&path)
            .map_err(|error| Failure::new(format!("cannot create {}: {error}", path.display())))?;
        let (file, path) = tempfile::Builder::new().prefix("worker-").tempfile_in(&path)?.keep()?;
        file.lock()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let worker = Arc::new(Worker { name, _lock: file, path });
        let mut connection = connect(folder)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        let there: Option<String> =
            transaction.query_row("SELECT what FROM search", [], |row| row.get(0)).optional()?;
        match there.map(|text| serde_json::from_str::<Value>(&text)).transpose()? {
            None => {
                transaction.execute("INSERT INTO search VALUES (?1)", params![what.to_string()])?;
            }
            Some(there) if there == *what => {}
            Some(there) => {
                let differing = differing(&there, what).join(", ");
                return Err(Failure::new(format!(
                    "{} holds a search with other settings ({differing}); give another --out, or replace it by --force",
                    folder.display()
                )));
            }
        }
        transaction.commit()?;
        Ok(Store { connection, folder: folder.to_path_buf(), worker })
    }

    /// The same for another thread of this process.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn another(&self) -> Outcome<Store> {
        let connection = connect(&self.folder)?;
        Ok(Store { connection, folder: self.folder.clone(), worker: self.worker.clone() })
    }

    /// The next trial of `limit` in all, which is this process's from then on. `search` goes on from trials.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn claim(&mut self, limit: usize, search: impl FnOnce(Vec<Trial>) -> Outcome<Search>) -> Outcome<Claim> {
        let workers = self.folder.join(WORKERS);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        forget_dead(&transaction, &workers, &self.worker.name)?;
        let trials: Vec<Trial> = records(&transaction)?.into_iter().map(|record| record.trial).collect();
        let running = trials.iter().any(|trial| trial.verdict.is_none());
        let mut search = search(trials)?;
        let claim = match search.next_trial() {
            Next::Trial(trial) if trial.number < limit => {
                transaction.execute(
                    "INSERT INTO trials (number, choice, reports, worker) VALUES (?1, ?2, '[]', ?3)",
                    params![trial.number as i64, serde_json::to_string(&trial.values)?, self.worker.name],
                )?;
                Claim::Trial(Box::new((trial, search)))
            }
            // What runs elsewhere may be killed, and is to be done then.
            _ if running => Claim::Wait,
            _ => Claim::End,
        };
        transaction.commit()?;
        Ok(claim)
    }

    /// Keeps the end of a trial.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&self, trial: &Trial, verdict: Verdict, problem: Option<&str>, seconds: f64) -> Outcome<()> {
        self.connection.execute(
            "UPDATE trials SET reports = ?2, verdict = ?3, problem = ?4, seconds = ?5 WHERE number = ?1",
            params![
                trial.number as i64,
                serde_json::to_string(&trial.reports)?,
                serde_json::to_string(&verdict)?,
                problem,
                seconds
            ],
        )?;
        Ok(())
    }

    /// Gives a trial back that did not come to its end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn give_back(&self, trial: &Trial) -> Outcome<()> {
        self.connection.execute("DELETE FROM trials WHERE number = ?1", params![trial.number as i64])?;
        Ok(())
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All trials by number, those that run too.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn records(&self) -> Outcome<Vec<Record>> {
        records(&self.connection)
    }
}

fn connect(folder: &Path) -> Outcome<Connection> {
    let path = folder.join(SEARCH);
    let told = |error: rusqlite::Error| Failure::new(format!("{}: {error}", path.display()));
    let connection = Connection::open(&path).map_err(told)?;
    connection.busy_timeout(PATIENCE).map_err(told)?;
    Ok(connection)
}

fn records(connection: &Connection) -> Outcome<Vec<Record>> {
    let mut statement =
        connection.prepare("SELECT number, choice, reports, verdict, problem, seconds FROM trials ORDER BY number")?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let verdict: Option<String> = row.get(3)?;
        let trial = Trial {
            number: row.get::<_, i64>(0)? as usize,
            values: serde_json::from_str(&row.get::<_, String>(1)?)?,
            reports: serde_json::from_str(&row.get::<_, String>(2)?)?,
            verdict: verdict.map(|text| serde_json::from_str(&text)).transpose()?,
        };
        records.push(Record { trial, problem: row.get(4)?, seconds: row.get(5)? });
    }
    Ok(records)
}

/// Removes the trials that run in processes that are no more.
fn forget_dead(transaction: &Transaction, workers: &Path, own: &str) -> Outcome<()> {
    let mut statement = transaction.prepare("SELECT DISTINCT worker FROM trials WHERE verdict IS NULL")?;
    let running: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for worker in running.iter().filter(|worker| *worker != own) {
        let path = workers.join(worker);
        let is_dead = match File::open(&path) {
            Ok(file) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => true,
        };
        if is_dead {
            transaction.execute("DELETE FROM trials WHERE verdict IS NULL AND worker = ?1", params![worker])?;
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

/// Names of what differs between two objects.
fn differing(a: &Value, b: &Value) -> Vec<String> {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return Vec::new() };
    let mut names: Vec<&String> = a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).collect();
    names.sort();
    names.dedup();
    let deeper = |name: &&String| {
        let within = differing(a.get(*name).unwrap_or(&Value::Null), b.get(*name).unwrap_or(&Value::Null));
        if within.is_empty() { vec![name.to_string()] } else { within }
    };
    names.iter().flat_map(deeper).collect()
}

#[cfg(test)]
mod tests {
    use pellucid::tune::{SearchOptions, Space};
    use serde_json::json;

    use super::*;

    fn search(trials: Vec<Trial>) -> Outcome<Search> {
        let space = Space::parse(r#"{"x": {"low": 0, "high": 1}}"#)?;
        Ok(Search::resume(space, SearchOptions { lanes: 3, ..SearchOptions::default() }, trials)?)
    }

    fn claim(store: &mut Store, limit: usize) -> Option<Trial> {
        match store.claim(limit, search).expect("a store") {
            Claim::Trial(claimed) => Some(claimed.0),
            Claim::Wait | Claim::End => None,
        }
    }

    #[test]
    fn what_ran_in_a_process_that_is_no_more_is_claimed_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = Store::open(folder.path(), &json!({"a": 1})).expect("opens");
        let mut second = Store::open(folder.path(), &json!({"a": 1})).expect("joins");
        let (zero, one) = (claim(&mut first, 3).expect("a trial"), claim(&mut second, 3).expect("another"));
        assert_eq!((zero.number, one.number), (0, 1));
        first.finish(&zero, Verdict::Finished(0.5), None, 0.1).expect("writes");
        drop(second);
        let again = claim(&mut first, 3).expect("the one that was given up");
        assert_eq!((again.number, &again.values), (1, &one.values));
        first.give_back(&again).expect("writes");
        assert_eq!(claim(&mut first, 3).expect("once more"), again);
        assert_eq!(claim(&mut first, 3).map(|trial| trial.number), Some(2));
        assert!(matches!(first.claim(3, search).expect("a store"), Claim::Wait), "two still run");
        let records = first.records().expect("reads");
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].trial.verdict, Some(Verdict::Finished(0.5)));
        for record in &records[1..] {
            first.finish(&record.trial, Verdict::Failed, Some("no"), 0.1).expect("writes");
        }
        assert!(matches!(first.claim(3, search).expect("a store"), Claim::End));
        drop(first);
        let left = fs::read_dir(folder.path().join(WORKERS)).expect("a folder").count();
        assert_eq!(left, 0, "workers leave nothing behind");
    }

    #[test]
    fn a_search_with_other_settings_is_not_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Store::open(folder.path(), &json!({"settings": {"lr": 1, "epochs": 2}})).expect("opens"));
        let error = Store::open(folder.path(), &json!({"settings": {"lr": 1, "epochs": 3}}));
        let error = error.err().expect("other settings");
        assert!(error.message().contains("other settings (epochs)"), "{}", error.message());
        fs::write(folder.path().join(SEARCH), "no database, but some text").expect("writes");
        assert!(Store::open(folder.path(), &json!({})).is_err());
    }
}
