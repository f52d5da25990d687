// Package audit keeps the records of askfirst: a receipt for each choice, and
// counts of every tag and cookie and of what became of it. They are kept in one
// SQLite file, or in a PostgreSQL database that several proxies share.
//
// Receipts are durable before Record returns. They form a chain per site and
// writer, each entry carrying the hash of the one before, so that one that was
// changed or taken out shows (Verify). What visitors were shown is kept once,
// under its SHA-256, as long as a receipt names it. Counts are summed in memory
// and written every few seconds; a crash loses those of the last seconds, never
// a receipt.
//
// While a shared database cannot be reached, receipts and counts wait in a file
// of the proxy and follow when it is back, each exactly once: receipts are known
// by their IDs, batches of counts by the number that their run gave them.
//
// Nothing in the counts leads to a person: no query strings, no addresses, and
// page paths with numbers, identifiers and e-mail addresses folded away. What
// is counted comes from pages and browsers, so that its variety is bounded; what
// is beyond the bounds is counted under Other.
//
// The statements are those that SQLite and PostgreSQL share, without what
// CockroachDB, YugabyteDB and Citus lack: no advisory locks, triggers, LISTEN,
// sequences by name, collations or extensions. Tried is PostgreSQL 15.
//
//	store, err := audit.Open(ctx, "/var/lib/askfirst", log)
//	…
//	err = store.Record(ctx, receipt)  // on disk once this returns nil
//	store.Count("shop", path, granted, sightings)
//	…
//	err = store.Close()
package audit
