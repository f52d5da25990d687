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
// SQLite is called through github.com/ncruces/go-sqlite3, without cgo. Beside it
// bench/drivers measures modernc.org/sqlite and zombiezen.com/go/sqlite, the same
// receipts in the same tables. A receipt in a group of 256 cost 19 to 31 us of
// processor time with ncruces, 23 to 25 with modernc, 31 with zombiezen; alone 340
// to 565, 420 to 560 and 850. In the rate of commits, which the disk sets, no
// difference showed. To a first build from an empty cache of a program that has
// net/http ncruces added 13 s of processor time and modernc, which zombiezen
// builds on, 21 s, to 79 s on a slow machine: well under two minutes on two cores.
// Ncruces has its file systems in Go too, by which tests fill the disk.
//
// The statements are those that SQLite and PostgreSQL share. What is used beside
// plain queries: INSERT … ON CONFLICT … DO UPDATE, DO NOTHING and RETURNING,
// row values with IN (SELECT … LIMIT), SELECT … FOR UPDATE of one row, WITH, sums
// and counts OVER, CREATE … IF NOT EXISTS, identity columns, one partial index,
// read-only transactions at REPEATABLE READ, changes of the schema in a
// transaction (each can be executed again). There are no advisory locks, triggers,
// LISTEN, sequences by name, collations, foreign keys or extensions.
//
// PostgreSQL 15 is what the tests run on. CockroachDB, YugabyteDB and Citus speak
// its protocol; none was run. Of them is known: YugabyteDB's advisory TA-30104, of
// ON CONFLICT … DO UPDATE on a table with a partial index, fixed in 2024.2.7.3,
// 2025.1.3.1 and 2025.2.1 (the ledger, which has one, is not written so);
// CockroachDB has no LISTEN; a unique constraint of a table that Citus distributes
// must contain the column that it is distributed by, which the ledger's by ID does
// not, so that there the tables stay on the coordinator.
//
// On two shared cores without other work a choice through the whole proxy
// (BenchmarkChoice of proxy/cli), its receipt durable before the answer, took on
// SQLite, 16 visitors at a time, p50 2.1 and p99 6.7 ms, at 6,730 choices a second;
// 64 at a time 5.2 and 13 ms, at 11,060; on PostgreSQL 2.7 and 8.3 ms, at 5,220, and
// 5.7 and 24 ms, at 9,340. A million page views make a file grow by 17 MB, a receipt
// by 690 bytes (BenchmarkGrowth).
//
//	store, err := audit.Open(ctx, "/var/lib/askfirst", log)
//	…
//	err = store.Record(ctx, receipt)  // on disk once this returns nil
//	store.Count("shop", path, granted, sightings)
//	…
//	err = store.Close()
package audit
