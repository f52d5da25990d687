package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// MaxQueue is how many messages wait at most; the oldest make room.
const MaxQueue = 100

// webhook delivers messages one after another.
type webhook struct {
	url    string
	secret []byte
	log    *slog.Logger
	client http.Client
	now    func() time.Time
	pause  func(context.Context, time.Duration) // until the next try

	mu      sync.Mutex
	waiting []*message
	wake    chan struct{}
}

// message is what is posted.
type message struct {
	ID string `json:"id"`
	// Text is all of it in words, where chat programs look for it.
	Text   string  `json:"text"`
	Events []Event `json:"events"`
}

func newWebhook(url, secret string, log *slog.Logger) *webhook {
	h := &webhook{url: url, log: log, now: time.Now, pause: sleep, wake: make(chan struct{}, 1)}
	h.client.Timeout = 10 * time.Second
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.secret = []byte(secret)
	if text, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			h.secret = key
		}
	}
	return h
}

// queue adds a message of events.
func (h *webhook) queue(events []Event) {
	m := &message{ID: "msg_" + rand.Text(), Events: events}
	lines := make([]string, len(events))
	for i := range events {
		lines[i] = events[i].String()
	}
	m.Text = "askfirst: " + strings.Join(lines, "\n")
	h.mu.Lock()
	if len(h.waiting) == MaxQueue {
		h.log.Error("alert not delivered: too many wait", "id", h.waiting[0].ID)
		h.waiting = h.waiting[1:]
	}
	h.waiting = append(h.waiting, m)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *webhook) next() *message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return nil
	}
	m := h.waiting[0]
	h.waiting = h.waiting[1:]
	return m
}

// run delivers until ctx ends.
func (h *webhook) run(ctx context.Context) {
	for {
		for m := h.next(); m != nil; m = h.next() {
			h.deliver(ctx, m)
		}
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
	}
}

// A message is tried maxTries times, each pause twice as long as the one
// before: for about a day.
const (
	maxTries     = 14
	firstPause   = 5 * time.Second
	longestPause = 3 * time.Hour
)

func (h *webhook) deliver(ctx context.Context, m *message) {
	body, err := json.Marshal(m)
	if err != nil {
		h.log.Error("alert not delivered", "id", m.ID, "error", err)
		return
	}
	wait := firstPause
	for try := 1; ; try++ {
		final, err := h.post(ctx, m.ID, body)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
		if final || try == maxTries {
			h.log.Error("alert not delivered", "id", m.ID, "tries", try, "error", err)
			return
		}
		h.log.Warn("alert not delivered yet", "id", m.ID, "retry", wait, "error", err)
		h.pause(ctx, wait)
		wait = min(2*wait, longestPause)
	}
}

// post sends a message once. final reports that another try would be refused
// as well.
func (h *webhook) post(ctx context.Context, id string, body []byte) (final bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	at := strconv.FormatInt(h.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "askfirst")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	if len(h.secret) > 0 {
		r.Header.Set("Webhook-Signature", "v1,"+sign(h.secret, id, at, body))
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, 64<<10)
	switch code := answer.StatusCode; {
	case code/100 == 2:
		return false, nil
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return true, fmt.Errorf("refused with status %d", code)
	default:
		return false, fmt.Errorf("answered with status %d", code)
	}
}

// sign signs a message as the Standard Webhooks specification says, version 1.
func sign(secret []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
