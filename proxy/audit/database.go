package audit

import "context"

// database is where records are kept: SQLite or PostgreSQL. Statements are
// written in the SQL that both share, with parameters ?1, ?2 and so on.
type database interface {
	// update makes the changes of f in one transaction, which is durable once
	// update returns nil; after an error it may be so too where the connection
	// was lost. It may call f again. Only one update runs at a time.
	update(ctx context.Context, f func(tx) error) error
	// view lets f read one snapshot.
	view(ctx context.Context, f func(tx) error) error
	close() error
}

// tx is a transaction.
type tx interface {
	// queue adds a statement to those that are sent together by the next run
	// or at the end of the transaction, and calls each, if not nil, with the
	// rows of its result. A statement that fails ends the transaction.
	queue(sql string, each func(row) error, args ...any)
	// run executes what was queued and then sql, and tells how many rows sql
	// changed. sql "" only executes what was queued.
	run(sql string, each func(row) error, args ...any) (changed int64, err error)
}

// row is a row of a result. What it returns of blobs is valid until the next.
type row interface {
	ColumnInt64(i int) int64
	ColumnText(i int) string
	// ColumnRawBlob returns nil for NULL.
	ColumnRawBlob(i int) []byte
}
