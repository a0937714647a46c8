//! The pools of the databases that have stores here.

use std::any::TypeId;

/// Whether this is the type of a pool of connections of sqlx.
pub(crate) fn is_pool(id: TypeId) -> bool {
    let pools: &[TypeId] = &[
        #[cfg(feature = "sqlite")]
        TypeId::of::<sqlx::SqlitePool>(),
        #[cfg(feature = "postgres")]
        TypeId::of::<sqlx::PgPool>(),
        #[cfg(feature = "mysql")]
        TypeId::of::<sqlx::MySqlPool>(),
    ];
    pools.contains(&id)
}
