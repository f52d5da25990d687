package banner

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// memory is Records in memory. A channel in durable makes Record wait for it.
type memory struct {
	mu       sync.Mutex
	receipts map[consent.ID]*consent.Receipt
	fail     error
	called   chan *consent.Receipt
	durable  chan struct{}
}

func (m *memory) Record(ctx context.Context, r *consent.Receipt) error {
	if m.called != nil {
		m.called <- r
	}
	if m.durable != nil {
		<-m.durable
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.receipts == nil {
		m.receipts = map[consent.ID]*consent.Receipt{}
	}
	m.receipts[r.ID] = r
	return nil
}

func (m *memory) Receipt(_ context.Context, id consent.ID) (*consent.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	if r := m.receipts[id]; r != nil {
		return r, nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Erase(_ context.Context, id consent.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.receipts[id] == nil {
		return fs.ErrNotExist
	}
	delete(m.receipts, id)
	return nil
}

// watcher is an Observer that keeps what it is told.
type watcher struct {
	mu      sync.Mutex
	seen    []string
	reports []*Report
}

func (w *watcher) Report(_ string, r *Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, r)
}

func (w *watcher) Seen(string) []string { return append([]string(nil), w.seen...) }

func newEngine(t testing.TB) *rules.Engine {
	t.Helper()
	e, err := rules.New(rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newBanner(t testing.TB, o Options) *Banner {
	t.Helper()
	if o.Site == "" {
		o.Site = "Shop"
	}
	b, err := New(o, newEngine(t), &memory{}, &watcher{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHead(t *testing.T) {
	b := newBanner(t, Options{Revision: 3, Unclassified: "hold"})
	v := &View{Host: []byte("www.shop.example:8443"), Nonce: []byte(`a"b`)}
	want := `<script src="` + b.GuardURL() + `" data-askfirst-guard data-granted="-" data-made="0" data-regime="opt-in" data-unclassified="hold" data-revision="3" data-site="shop.example" nonce="a&#34;b"></script>`
	if got := string(b.AppendHead(nil, v, nil)); got != want {
		t.Errorf("head\n got %s\nwant %s", got, want)
	}
}

func TestFoot(t *testing.T) {
	b := newBanner(t, Options{})
	got := string(b.AppendFoot(nil, &View{Return: []byte(`/a?b=1&c="x"`)}, nil))
	t.Log(got)
	if strings.Contains(got, "⟦") || strings.Contains(got, "ZgotmplZ") {
		t.Error("a slot or a refused value is left in the markup")
	}
}
