package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/askfirst/askfirst/rules/consent"
)

// Operation is something that an operator did.
type Operation struct {
	At time.Time `json:"at"`
	// Who did it: a user of the system, or the name of a token.
	Who string `json:"who"`
	// Action is what was done, such as erase; About is what to, such as a
	// receipt's ID; Detail is anything else.
	Action string `json:"action"`
	About  string `json:"about,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Log puts an operation on record. Its time is now.
func (s *Store) Log(ctx context.Context, o Operation) error {
	return errorf("logging what was done", s.submit(ctx, &op{do: func(t tx, _ *chains) error {
		queueOperation(t, s.now(), &o)
		return nil
	}}))
}

func queueOperation(t tx, at time.Time, o *Operation) {
	t.queue(`INSERT INTO operations (at, who, action, about, detail) VALUES (?1, ?2, ?3, ?4, ?5)`, nil, at.Unix(), o.Who, o.Action, o.About, o.Detail)
}

// Operations returns a part of what operators did, the newest first. Only Text,
// which who, action, about or detail must have, From and To of f, Limit and Offset
// of the part apply.
func (s *Store) Operations(ctx context.Context, f Filter, part Slice) (list []Operation, err error) {
	var q query
	q.text("SELECT l.at, l.who, l.action, l.about, l.detail FROM operations l WHERE 1 = 1")
	q.made(Filter{From: f.From, To: f.To})
	q.contains(f.Text, "l.who", "l.action", "l.about", "l.detail")
	q.text(" ORDER BY l.at DESC, l.id DESC")
	q.cut(part)
	err = s.read(ctx, func(t tx) error {
		return q.run(t, func(r row) error {
			list = append(list, Operation{time.Unix(r.ColumnInt64(0), 0).UTC(), r.ColumnText(1), r.ColumnText(2), r.ColumnText(3), r.ColumnText(4)})
			return nil
		})
	})
	return list, errorf("reading what was done", err)
}

// RequestTime is how long a request of a visitor may take to be answered, where
// the month of GDPR, Article 12(3), is not shorter.
const RequestTime = 30 * 24 * time.Hour

// due returns by when a request is to be answered. A month ends on the day of the
// same number, or on the last of a month that has none (Regulation 1182/71,
// Article 3).
func due(received time.Time) time.Time {
	by, month := received.Add(RequestTime), received.AddDate(0, 1, 0)
	if month.Day() != received.Day() {
		month = month.AddDate(0, 0, -month.Day())
	}
	if month.Before(by) {
		return month
	}
	return by
}

// Request is what a visitor asked of the operator about a receipt: a copy, or
// to have it erased.
type Request struct {
	Receipt consent.ID
	// Kind is access or erasure.
	Kind          string
	Received, Due time.Time
	// Answered is zero while the request is open.
	Answered time.Time
}

// Late reports whether a request was open, or was still open, after it was due.
func (r *Request) Late(now time.Time) bool {
	if !r.Answered.IsZero() {
		now = r.Answered
	}
	return now.After(r.Due)
}

// OpenRequest puts on record that a visitor asked for something. The clock runs
// from when it was received.
func (s *Store) OpenRequest(ctx context.Context, id consent.ID, kind string, received time.Time, who string) error {
	return errorf("noting a request", s.submit(ctx, &op{do: func(t tx, _ *chains) error {
		t.queue(`INSERT INTO requests (receipt, kind, received, answered) VALUES (?1, ?2, ?3, 0) ON CONFLICT (receipt, kind, received) DO NOTHING`, nil,
			id[:], kind, received.Unix())
		queueOperation(t, s.now(), &Operation{Who: who, Action: "request", About: id.String(), Detail: kind})
		return nil
	}}))
}

// AnswerRequest stops the clock of what was asked about a receipt. Where nothing
// is open, the error matches fs.ErrNotExist.
func (s *Store) AnswerRequest(ctx context.Context, id consent.ID, kind, who string) error {
	var n int64
	err := s.submit(ctx, &op{do: func(t tx, _ *chains) (err error) {
		if n, err = t.run(answerRequest, nil, id[:], kind, s.now().Unix()); n > 0 {
			queueOperation(t, s.now(), &Operation{Who: who, Action: "answer", About: id.String(), Detail: kind})
		}
		return err
	}})
	if err == nil && n == 0 {
		return absent(fmt.Sprintf("open request for %s about %s", kind, id))
	}
	return errorf(fmt.Sprintf("answering a request for %s about %s", kind, id), err)
}

const answerRequest = `UPDATE requests SET answered = ?3 WHERE receipt = ?1 AND kind = ?2 AND answered = 0`

// Requests returns what visitors asked for, the one due first at the top: what
// is open, or all.
func (s *Store) Requests(ctx context.Context, all bool) (list []Request, err error) {
	where := " WHERE answered = 0"
	if all {
		where = ""
	}
	err = s.read(ctx, func(t tx) error {
		_, err := t.run(`SELECT receipt, kind, received, answered FROM requests`+where+` ORDER BY received, receipt, kind`, func(r row) error {
			received := time.Unix(r.ColumnInt64(2), 0).UTC()
			k := Request{Receipt: consent.ID(r.ColumnRawBlob(0)), Kind: r.ColumnText(1), Received: received, Due: due(received)}
			if at := r.ColumnInt64(3); at != 0 {
				k.Answered = time.Unix(at, 0).UTC()
			}
			list = append(list, k)
			return nil
		})
		return err
	})
	return list, errorf("reading requests", err)
}
