//! Files that a SQLite store cannot use, and files that several stores use at once.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::memory::MemoryStore;
use jasper::store::sqlite::SqliteStore;
use jasper::store::{
    ClaimRequest, Incoming, Inserted, MessageStore, Owner, Placement, Settlement, StoreError,
    Subscription,
};
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_missing_file_is_made() {
    let (directory, store) = prepared().await;
    assert!(file(&directory).exists());
    assert_eq!(store.info().name, "sqlite");
}

#[tokio::test]
async fn a_file_of_something_else_is_not_a_database() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(file(&directory), "a letter, no database. ".repeat(100)).unwrap();
    let error = SqliteStore::open(file(&directory)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    let source = std::error::Error::source(&error).and_then(|it| it.downcast_ref::<sqlx::Error>());
    assert!(matches!(source, Some(sqlx::Error::Database(_))), "the driver's error is kept");
    assert!(error.to_string().contains("shop.db"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nowhere").join("shop.db");
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_unsuitable(&error, "its directory is not there");
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn a_path_with_a_file_for_a_directory_and_a_directory_for_a_file_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(directory.path()).await.unwrap_err();
    assert_unsuitable(&error, "it is a directory");
    std::fs::write(file(&directory), "").unwrap();
    let error = SqliteStore::open(file(&directory).join("shop.db")).await.unwrap_err();
    assert_unsuitable(&error, "a directory that is a file");
}

#[tokio::test]
async fn a_missing_file_is_not_made_unless_the_options_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(file(&directory));
    let error = SqliteStore::open_with(options).await.unwrap_err();
    assert_unsuitable(&error, "create_if_missing(true)");
}

#[tokio::test]
async fn a_file_opened_for_reading_only_is_refused() {
    let (directory, store) = prepared().await;
    drop(store);
    let options = SqliteConnectOptions::new().filename(file(&directory)).read_only(true);
    let error = SqliteStore::open_with(options).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("shop.db"), "{error}");
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused() {
    let (directory, store) = prepared().await;
    store.pool().close().await;
    drop(store);
    forbid_writing(&file(&directory));
    // A superuser writes in spite of it.
    let may_write = std::fs::File::options().write(true).open(file(&directory)).is_ok();
    match SqliteStore::open(file(&directory)).await {
        Ok(_store) => assert!(may_write),
        Err(error) => assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn a_directory_that_may_not_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    forbid_writing(directory.path());
    let may_write = std::fs::write(directory.path().join("probe"), "").is_ok();
    match SqliteStore::open(file(&directory)).await {
        Ok(_store) => assert!(may_write),
        Err(error) => assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}"),
    }
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    let options: [SqliteConnectOptions; 3] = [
        "sqlite::memory:".parse().unwrap(),
        SqliteConnectOptions::new().filename(":memory:"),
        SqliteConnectOptions::new().in_memory(true),
    ];
    for options in options {
        let error = SqliteStore::open_with(options).await.unwrap_err();
        assert_unsuitable(&error, "MemoryStore");
    }
    MemoryStore::new().admin().prepare().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_that_breaks_older_builds_is_refused() {
    let (_directory, store) = prepared().await;
    sqlx::raw_sql(
        "insert into jasper_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from the future', true, x'00', 0);
         update jasper_schema set usable_from = 9999",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let error = store.admin().prepare().await.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 9999, known, .. } if known < 9999),
        "{error:?}"
    );
    assert!(error.to_string().contains("shop.db"), "{error}");
}

#[tokio::test]
async fn migrations_of_the_user_are_left_alone() {
    let (_directory, store) = prepared().await;
    let theirs: i64 =
        sqlx::query_scalar("select count(*) from sqlite_schema where name = '_sqlx_migrations'")
            .fetch_one(store.pool())
            .await
            .unwrap();
    assert_eq!(theirs, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stores_prepare_one_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(SqliteStore::open(file(&directory)).await.unwrap());
    }
    let prepared = stores.iter().map(|store| store.admin().prepare());
    for prepared in join_all(prepared).await {
        prepared.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_on_one_file_never_share_a_row() {
    let (directory, first) = prepared().await;
    let second = SqliteStore::open(file(&directory)).await.unwrap();
    let rows: Vec<Incoming> = (0..100).map(|_| unowned(100)).collect();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for row in rows {
        left.push(first.inbox().store(vec![row.clone()]));
        right.push(second.inbox().store(vec![row]));
    }
    let stored = join_all(left.into_iter().chain(right)).await;
    let new = stored.into_iter().filter(|stored| *stored.as_ref().unwrap() == [Inserted::New]);
    assert_eq!(new.count(), 100);

    let owners = [join(&first).await, join(&second).await];
    let claims = (0..20).flat_map(|_| {
        let claim = |store: &SqliteStore, owner| {
            let store = store.clone();
            async move { store.inbox().claim(all(owner, 5)).await }
        };
        [claim(&first, owners[0]), claim(&second, owners[1])]
    });
    let claimed = join_all(claims).await;
    let mut ids: Vec<_> = claimed
        .into_iter()
        .flat_map(|claimed| claimed.unwrap())
        .map(|claimed| claimed.ownership.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn who_joins_alone_ends_the_leases_of_the_dead() {
    let (directory, store) = prepared().await;
    let dead = join(&store).await;
    drop(store);
    let store = SqliteStore::open(file(&directory)).await.unwrap();
    let alive = join(&store).await;
    assert_ne!(dead, alive);
    assert_eq!(store.nodes().expired(None).await.unwrap().owners, [dead]);
    assert!(store.nodes().renew(alive, LONG).await.unwrap());
    assert!(!store.nodes().renew(dead, LONG).await.unwrap());
}

#[tokio::test]
async fn who_joins_beside_others_ends_no_lease() {
    let (directory, first) = prepared().await;
    let second = SqliteStore::open(file(&directory)).await.unwrap();
    let dead = join(&first).await;
    let alive = join(&second).await;
    drop(first);
    let third = SqliteStore::open(file(&directory)).await.unwrap();
    let joined = join(&third).await;
    assert_eq!(third.nodes().expired(None).await.unwrap().owners, []);
    for owner in [dead, alive, joined] {
        assert!(third.nodes().renew(owner, LONG).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(file(&directory))
        .create_if_missing(true)
        .pragma("max_page_count", "300");
    let store = SqliteStore::open_with(options).await.unwrap();
    store.admin().prepare().await.unwrap();
    let owner = join(&store).await;

    let mut accepted = 0;
    let error = loop {
        let together = (0..8).map(|_| store.inbox().store(vec![unowned(10_000)]));
        let stored = join_all(together).await;
        accepted += stored.iter().filter(|stored| stored.is_ok()).count();
        if let Some(error) = stored.into_iter().find_map(Result::err) {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("shop.db"), "{error}");
    assert!(error.is_transient());
    assert!(accepted > 0);
    let there = store.admin().counts().await.unwrap().incoming;
    assert_eq!(there, accepted as u64, "what was accepted is there, and nothing else");

    let claimed = store.inbox().claim(all(owner, 4)).await.unwrap();
    let handled = claimed.into_iter().map(|row| Settlement::Handled(row.ownership));
    store.inbox().settle(handled.collect()).await.unwrap();
    let stored = store.inbox().store(vec![unowned(10_000)]).await.unwrap();
    assert_eq!(stored, [Inserted::New]);
}

async fn prepared() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&directory)).await.unwrap();
    store.admin().prepare().await.unwrap();
    (directory, store)
}

/// Whether the application has to be changed, and the error says so.
fn assert_unsuitable(error: &StoreError, why: &str) {
    assert!(matches!(error, StoreError::Unsuitable { .. }), "{error:?}");
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("shop.db")
}

fn forbid_writing(path: &Path) {
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions).unwrap();
}

async fn join(store: &SqliteStore) -> Owner {
    store.nodes().join("node", LONG, &[]).await.unwrap().owner
}

fn unowned(payload: usize) -> Incoming {
    Incoming {
        envelope: Envelope::new(
            MessageType::new("files.message", 1),
            "application/json",
            Bytes::from(vec![b' '; payload]),
            Address::local("files", "handler"),
        ),
        placement: Placement::Unowned,
        retention: None,
    }
}

fn all(owner: Owner, limit: usize) -> ClaimRequest {
    let message_type = "files.message@1".to_owned();
    let destination = Address::local("files", "handler");
    let subscriptions = vec![Subscription { destination, message_type }];
    ClaimRequest { owner, subscriptions, limit, count_attempt: true }
}
