//! The tables, as a list of versions for each part of the program. A version, once released, is never altered.
//!
//! Every text runs on SQLite and on PostgreSQL: `$1`, ON CONFLICT, RETURNING, times as BIGINT microseconds, JSON as TEXT.

/// Journal, outbox, snapshots and projections.
pub(super) const JOURNAL: &[&[&str]] = &[&[
    "CREATE TABLE events (seq BIGINT PRIMARY KEY, at_us BIGINT NOT NULL, schema_version BIGINT NOT NULL, kind TEXT NOT NULL, \
     poisoned BIGINT NOT NULL, event TEXT NOT NULL)",
    "CREATE TABLE outbox (effect_key TEXT PRIMARY KEY, seq BIGINT NOT NULL, ordinal BIGINT NOT NULL, kind TEXT NOT NULL, \
     created_at_us BIGINT NOT NULL, tries BIGINT NOT NULL, next_at_us BIGINT NOT NULL, effect TEXT NOT NULL)",
    "CREATE TABLE snapshots (seq BIGINT PRIMARY KEY, at_us BIGINT NOT NULL, schema_version BIGINT NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE incidents (number BIGINT PRIMARY KEY, state TEXT NOT NULL, service TEXT NOT NULL, onset_us BIGINT NOT NULL, \
     incident TEXT NOT NULL)",
    "CREATE TABLE orders (number TEXT PRIMARY KEY, state TEXT NOT NULL, ended BIGINT NOT NULL, project TEXT NOT NULL, \
     service TEXT NOT NULL, environment TEXT NOT NULL, created_at_us BIGINT NOT NULL, release_order TEXT NOT NULL)",
    "CREATE INDEX orders_by_service ON orders (service, environment, number)",
    "CREATE TABLE timeline (seq BIGINT NOT NULL, ordinal BIGINT NOT NULL, at_us BIGINT NOT NULL, service TEXT NOT NULL, \
     environment TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (seq, ordinal))",
    "CREATE INDEX timeline_by_time ON timeline (at_us)",
    "CREATE TABLE chat (room TEXT NOT NULL, seq BIGINT NOT NULL, ordinal BIGINT NOT NULL, at_us BIGINT NOT NULL, \
     message TEXT NOT NULL, PRIMARY KEY (room, seq, ordinal))",
    "CREATE TABLE changes (seq BIGINT NOT NULL, ordinal BIGINT NOT NULL, at_us BIGINT NOT NULL, service TEXT NOT NULL, \
     environment TEXT NOT NULL, change TEXT NOT NULL, PRIMARY KEY (seq, ordinal))",
    "CREATE INDEX changes_by_time ON changes (at_us)",
    "CREATE TABLE audit (number BIGINT PRIMARY KEY, at_us BIGINT NOT NULL, seq BIGINT, who TEXT NOT NULL, what TEXT NOT NULL, \
     outcome TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL)",
]];
