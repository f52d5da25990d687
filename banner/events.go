package banner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// Report is what a page tells of its tags and cookies under one choice. It names
// no visitor.
type Report struct {
	// Page is the page's path.
	Page string
	// Granted is what was agreed to at the time.
	Granted consent.Set
	Tags    []ReportedTag
	Cookies []ReportedCookie
}

// ReportedTag is one tag and what became of it.
type ReportedTag struct {
	Host, Path string
	Kind       rules.Kind
	// Decision is the engine's own, made anew: a page is not believed.
	Decision rules.Decision
	// Event is held, released, fired or stopped.
	Event string
	Count int
}

// ReportedCookie is a cookie that a page saw being set.
type ReportedCookie struct {
	Name string
	// Source says what set it: script, storage or header.
	Source   string
	Decision rules.Decision
}

const (
	maxEvents      = 2 << 10 // bytes of a page's report
	maxReported    = 200     // tags, and cookies, of a report; twice that may be said to be left out
	maxPage        = 1 << 10 // bytes of a page's path
	maxCount       = 1 << 16
	maxCookieName  = 100
	maxReportedURL = 1 << 10
)

var (
	eventNames   = []string{"held", "released", "fired", "stopped"}
	cookieSource = []string{"script", "storage", "header"}
)

// events is a page's report on the wire. A page sends one when it is left, and if
// it is come back to, another of what is new when it is left again. A visitor may
// choose in between, so each entry says under which choice it came to be.
type events struct {
	Page    string        `json:"page"`
	Tags    []eventTag    `json:"tags"`
	Cookies []eventCookie `json:"cookies"`
	// More is how many tags and cookies had no room.
	More int `json:"more"`
}

// eventTag is [URL without query, kind, event, count, categories agreed to].
type eventTag struct {
	url, kind, event string
	count            int
	granted          string
}

// UnmarshalJSON refuses an array of another length, which encoding/json does
// not.
func (t *eventTag) UnmarshalJSON(data []byte) error {
	return tuple(data, &t.url, &t.kind, &t.event, &t.count, &t.granted)
}

// eventCookie is [name, source, categories agreed to].
type eventCookie struct{ name, source, granted string }

// UnmarshalJSON is as that of eventTag.
func (c *eventCookie) UnmarshalJSON(data []byte) error {
	return tuple(data, &c.name, &c.source, &c.granted)
}

func tuple(data []byte, fields ...any) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if len(raw) != len(fields) {
		return fmt.Errorf("%d fields where %d are due", len(raw), len(fields))
	}
	for i, field := range fields {
		if err := json.Unmarshal(raw[i], field); err != nil {
			return err
		}
	}
	return nil
}

func (b *Banner) serveEvents(ctx *fasthttp.RequestCtx, v *Visit) {
	if !b.reportLimit.allow(v.Address, time.Now()) {
		b.tooFast(ctx)
		return
	}
	switch mediaType(ctx) {
	case "application/json", "text/plain":
	default:
		b.refuse(ctx, fasthttp.StatusUnsupportedMediaType, "want JSON")
		return
	}
	data, ok := b.readBody(ctx, maxEvents)
	if !ok {
		return
	}
	var e events
	if err := decodeStrict(data, &e); err != nil {
		b.refuse(ctx, fasthttp.StatusBadRequest, "events: malformed JSON")
		return
	}
	reports, err := b.examine(&e, v)
	if err != nil {
		b.refuse(ctx, fasthttp.StatusBadRequest, "events: "+err.Error())
		return
	}
	b.counters.leftOut.Add(uint64(e.More))
	for _, r := range reports {
		b.observer.Report(b.o.Site, r)
	}
	private(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (b *Banner) tooFast(ctx *fasthttp.RequestCtx) {
	b.counters.limited.Add(1)
	ctx.Response.Header.Set("Retry-After", "10")
	b.refuse(ctx, fasthttp.StatusTooManyRequests, "too many reports")
}

// examine holds a page's report against the vocabularies, decides about each tag
// and cookie itself, and parts it by what was agreed to.
func (b *Banner) examine(e *events, v *Visit) ([]*Report, error) {
	if !isLocal(e.Page) || len(e.Page) > maxPage || bytes.ContainsAny([]byte(e.Page), "?#") {
		return nil, errors.New("page is not a path")
	}
	if len(e.Tags) > maxReported || len(e.Cookies) > maxReported || e.More < 0 || e.More > 2*maxReported {
		return nil, errors.New("too many entries")
	}
	var reports []*Report
	under := func(letters string) *Report {
		granted, ok := consent.ParseSet(letters)
		if !ok {
			return nil
		}
		for _, r := range reports {
			if r.Granted == granted {
				return r
			}
		}
		r := &Report{Page: e.Page, Granted: granted}
		reports = append(reports, r)
		return r
	}
	var page rules.Page
	page.Reset([]byte(origin(v) + e.Page))
	for _, t := range e.Tags {
		kind, known := rules.ParseKind(t.kind)
		r := under(t.granted)
		if !known || r == nil || !slices.Contains(eventNames, t.event) || t.count < 1 || t.count > maxCount {
			return nil, errors.New("a tag's kind, event, count or categories are unknown")
		}
		tag, ok := b.tag(&page, t.url, kind)
		if !ok {
			return nil, errors.New("a tag's address is not one")
		}
		tag.Event, tag.Count = t.event, t.count
		r.Tags = append(r.Tags, tag)
	}
	for _, c := range e.Cookies {
		r := under(c.granted)
		if r == nil || len(c.name) > maxCookieName || !printable(c.name) || !slices.Contains(cookieSource, c.source) {
			return nil, errors.New("a cookie's name, source or categories are unknown")
		}
		d := b.engine.Cookie([]byte(c.name))
		if c.source == "storage" {
			d = b.engine.Storage([]byte(c.name))
		}
		r.Cookies = append(r.Cookies, ReportedCookie{c.name, c.source, d})
	}
	return reports, nil
}

func origin(v *Visit) string {
	if v.Secure {
		return "https://" + v.Host
	}
	return "http://" + v.Host
}

// tag decides about an address that a page reported. Query and fragment are
// dropped, should there be any: they may name a visitor. An inline script, which
// has no address, is reported by its vendor's ID behind "inline:".
func (b *Banner) tag(page *rules.Page, address string, kind rules.Kind) (ReportedTag, bool) {
	if len(address) > maxReportedURL || !printable(address) {
		return ReportedTag{}, false
	}
	if id, inline := strings.CutPrefix(address, "inline:"); inline || kind == rules.Inline {
		v := b.engine.Vendor(id)
		if v == nil || !inline || kind != rules.Inline {
			return ReportedTag{}, false
		}
		return ReportedTag{Kind: kind, Decision: rules.Decision{Vendor: v, Category: v.Category}}, true
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return ReportedTag{}, false
	}
	bare := u.Scheme + "://" + u.Host + u.EscapedPath()
	return ReportedTag{Host: u.Hostname(), Path: u.EscapedPath(), Kind: kind, Decision: b.engine.URL(page, []byte(bare), kind)}, true
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}
