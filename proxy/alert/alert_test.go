package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

var quietLog = slog.New(slog.DiscardHandler)

func newAlerter(t *testing.T, alerts configs.Alerts) (*Alerter, *audit.Store) {
	t.Helper()
	store, err := audit.Open(t.Context(), "", quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return New(store, Options{Alerts: alerts, Log: quietLog}), store
}

// meet counts a tag and has it written, with all that was counted before it.
func meet(t *testing.T, store *audit.Store, vendor, host string, e audit.Event) {
	t.Helper()
	count(store, vendor, host, e)
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func count(store *audit.Store, vendor, host string, e audit.Event) {
	category := consent.Unclassified
	if vendor != "" {
		category = consent.Analytics
	}
	store.Count("shop", []byte("/"), 0, []audit.Sighting{{Vendor: vendor, VendorName: strings.ToUpper(vendor), Category: category, Kind: "script",
		Host: []byte(host), Path: []byte("/t.js"), Event: e, Count: 1}})
}

func look(t *testing.T, a *Alerter) (told []string) {
	t.Helper()
	events, err := a.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		told = append(told, events[i].String())
	}
	return told
}

func TestWhatIsNewIsToldOnce(t *testing.T) {
	a, store := newAlerter(t, configs.Alerts{})
	if told := look(t, a); told != nil {
		t.Errorf("of nothing: %q", told)
	}
	// In one second, as the newest is told first.
	count(store, "hotjar", "static.hotjar.com", audit.Held)
	meet(t, store, "", "cdn.unknown.example", audit.Passed)
	want := []string{"shop: new vendor HOTJAR (analytics)", "shop: no rule knows cdn.unknown.example"}
	if told := look(t, a); !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	meet(t, store, "hotjar", "script.hotjar.com", audit.FiredAnyway)
	want = []string{"shop: script.hotjar.com/t.js fired without consent, 1 times today"}
	if told := look(t, a); !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	meet(t, store, "hotjar", "script.hotjar.com", audit.FiredAnyway)
	if told := look(t, a); told != nil {
		t.Errorf("told again: %q", told)
	}
}

func TestWhatWasThereBeforeIsNotTold(t *testing.T) {
	a, store := newAlerter(t, configs.Alerts{})
	meet(t, store, "hotjar", "static.hotjar.com", audit.FiredAnyway)
	look(t, a) // as Run does first
	if told := look(t, a); told != nil {
		t.Errorf("told %q", told)
	}
}

func TestOnlyWantedKindsAreTold(t *testing.T) {
	a, store := newAlerter(t, configs.Alerts{On: []configs.AlertKind{configs.AlertUnclassified}})
	meet(t, store, "hotjar", "static.hotjar.com", audit.FiredAnyway)
	meet(t, store, "", "cdn.unknown.example", audit.Passed)
	if told := look(t, a); !slices.Equal(told, []string{"shop: no rule knows cdn.unknown.example"}) {
		t.Errorf("told %q", told)
	}
}

func TestFailingReceiptsAreToldButNotAllTheTime(t *testing.T) {
	a, store := newAlerter(t, configs.Alerts{})
	clock := time.Now()
	a.now = func() time.Time { return clock }
	store.Close()
	r := &consent.Receipt{Choice: consent.Choice{Revision: 1, At: clock, ID: consent.NewID()}, Site: "shop", Action: "reject-all", Method: consent.ByForm}
	fail := func() {
		if store.Record(t.Context(), r) == nil {
			t.Fatal("a closed store takes a receipt")
		}
	}
	a.o.On = []configs.AlertKind{configs.AlertReceiptsFailing}
	fail()
	if told := look(t, a); !slices.Equal(told, []string{"1 receipts of choices could not be written"}) {
		t.Errorf("told %q", told)
	}
	fail()
	if told := look(t, a); told != nil {
		t.Errorf("told %q right after", told)
	}
	clock = clock.Add(quiet + time.Second)
	fail()
	if told := look(t, a); !slices.Equal(told, []string{"2 receipts of choices could not be written"}) {
		t.Errorf("later: %q", told)
	}
}

// receiver is where a webhook posts to.
type receiver struct {
	*httptest.Server
	got     chan *http.Request
	bodies  chan []byte
	answers chan int
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	r := &receiver{got: make(chan *http.Request, 100), bodies: make(chan []byte, 100), answers: make(chan int, 100)}
	for _, code := range answers {
		r.answers <- code
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		code := 204
		select {
		case code = <-r.answers:
		default:
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		r.got <- q
		r.bodies <- body
	}))
	t.Cleanup(r.Close)
	return r
}

func TestMessagesAreSigned(t *testing.T) {
	key := []byte("a secret of thirty-two bytes ...")
	r := newReceiver(t)
	h := newWebhook(r.URL+"/hook", "whsec_"+base64.StdEncoding.EncodeToString(key), quietLog)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.run(ctx)
	h.queue([]Event{{Kind: configs.AlertNewVendor, Site: "shop", Name: "Hotjar", Category: "analytics", At: time.Now()}})
	got, body := <-r.got, <-r.bodies
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(got.Header.Get("Webhook-Id") + "." + got.Header.Get("Webhook-Timestamp") + "."))
	mac.Write(body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Header.Get("Webhook-Signature") != want {
		t.Errorf("signed %s, want %s", got.Header.Get("Webhook-Signature"), want)
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.ID != got.Header.Get("Webhook-Id") ||
		m.Text != "askfirst: shop: new vendor Hotjar (analytics)" || len(m.Events) != 1 || m.Events[0].Name != "Hotjar" {
		t.Errorf("%v: %s", err, body)
	}
}

func TestMessagesAreTriedAgain(t *testing.T) {
	r := newReceiver(t, 503, 429, 302, 204, 410)
	h := newWebhook(r.URL, "secret", quietLog)
	var pauses []time.Duration
	h.pause = func(_ context.Context, d time.Duration) { pauses = append(pauses, d) }
	for range 2 {
		h.queue([]Event{{Kind: configs.AlertReceiptsFailing, Count: 1}})
		h.deliver(t.Context(), h.next())
	}
	if want := []time.Duration{firstPause, 2 * firstPause, 4 * firstPause}; !slices.Equal(pauses, want) {
		t.Errorf("paused %v, want %v", pauses, want)
	}
	if n := len(r.got); n != 5 {
		t.Errorf("%d requests, want 4 for the first message and 1 for the one that was refused for good", n)
	}
	first := (<-r.got).Header.Get("Webhook-Id")
	for range 3 {
		if id := (<-r.got).Header.Get("Webhook-Id"); id != first {
			t.Errorf("tried again as %s, first as %s", id, first)
		}
	}
	if q := <-r.got; q.URL.Path == "/elsewhere" {
		t.Error("a redirect was followed")
	}
}

func TestDeliveryGivesUpAtLast(t *testing.T) {
	answers := slices.Repeat([]int{500}, maxTries+5)
	r := newReceiver(t, answers...)
	h := newWebhook(r.URL, "secret", quietLog)
	var all time.Duration
	h.pause = func(_ context.Context, d time.Duration) { all += d }
	h.queue([]Event{{Kind: configs.AlertReceiptsFailing, Count: 1}})
	h.deliver(t.Context(), h.next())
	if len(r.got) != maxTries {
		t.Errorf("tried %d times, want %d", len(r.got), maxTries)
	}
	if all < 8*time.Hour || all > 36*time.Hour {
		t.Errorf("tried for %v", all)
	}
}

func TestQueueIsBounded(t *testing.T) {
	h := newWebhook("http://127.0.0.1:1", "secret", quietLog)
	for i := range MaxQueue + 10 {
		h.queue([]Event{{Kind: configs.AlertReceiptsFailing, Count: int64(i)}})
	}
	if len(h.waiting) != MaxQueue || h.waiting[0].Events[0].Count != 10 {
		t.Errorf("%d wait, the oldest of them %d", len(h.waiting), h.waiting[0].Events[0].Count)
	}
}

// TestFailingIsToldWhileTheAuditIsAway, which is when receipts fail.
func TestFailingIsToldWhileTheAuditIsAway(t *testing.T) {
	store, err := audit.OpenShared(t.Context(), "postgres://x@127.0.0.1:1/x", t.TempDir(), quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	a := New(store, Options{Log: quietLog})
	ended, end := context.WithCancel(t.Context())
	end()
	store.Record(ended, &consent.Receipt{Choice: consent.Choice{At: time.Now(), ID: consent.NewID()}, Site: "shop"})
	events, err := a.look(t.Context())
	if err == nil || !slices.ContainsFunc(events, func(e Event) bool { return e.Kind == configs.AlertReceiptsFailing }) {
		t.Errorf("%v, %v", events, err)
	}
}

// TestWhatWasNotToldIsToldLater: a look that fails halfway takes nothing for told.
func TestWhatWasNotToldIsToldLater(t *testing.T) {
	a, store := newAlerter(t, configs.Alerts{})
	look(t, a)
	meet(t, store, "hotjar", "a.example", audit.Held)
	if _, err := a.look(&endsAfter{Context: t.Context(), looks: 1}); err == nil {
		t.Fatal("the look did not fail")
	}
	if told := look(t, a); !strings.Contains(strings.Join(told, " "), "HOTJAR") {
		t.Errorf("told %q", told)
	}
}

// endsAfter is a context that has ended when it is looked at once more.
type endsAfter struct {
	context.Context
	looks int
}

func (c *endsAfter) Done() <-chan struct{} {
	if c.looks--; c.looks >= 0 {
		return c.Context.Done()
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (c *endsAfter) Err() error {
	if c.looks < 0 {
		return context.Canceled
	}
	return nil
}
