// Package audit keeps the records of askfirst in one SQLite file: a receipt for
// each choice, and counts of every tag and cookie and of what became of it.
//
// Receipts are durable before Record returns. They form a chain per site, each
// entry carrying the hash of the one before, so that one that was changed or
// taken out shows (Verify). Counts are summed in memory and written every few
// seconds; a crash loses those of the last seconds, never a receipt.
//
// Nothing in the counts leads to a person: no query strings, no addresses, and
// page paths with numbers, identifiers and e-mail addresses folded away. What
// is counted comes from pages and browsers, so that its variety is bounded; what
// is beyond the bounds is counted under Other.
//
//	store, err := audit.Open(ctx, "/var/lib/askfirst", log)
//	…
//	err = store.Record(ctx, receipt)  // on disk once this returns nil
//	store.Count("shop", path, granted, sightings)
//	…
//	err = store.Close()
package audit
