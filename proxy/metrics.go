package proxy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/rules/consent"
)

// metrics are counted by every exchange and written in Prometheus' text format.
type metrics struct {
	byClass  [10]atomic.Int64 // answers from upstreams, by the status' first digit
	own      atomic.Int64
	cut      atomic.Int64
	left     atomic.Int64
	retries  atomic.Int64
	tunnels  atomic.Int64
	pages    atomic.Int64
	streamed atomic.Int64
	unread   atomic.Int64
	hits     atomic.Int64
	misses   atomic.Int64
	waits    atomic.Int64
	shared   atomic.Int64
	revised  atomic.Int64
	refined  atomic.Int64
	sent     atomic.Int64
	faults   atomic.Int64
	received atomic.Int64

	whole, upstream, added histogram
	tags                   [4]atomic.Int64 // by consent.Fate
	lostSpans              atomic.Int64

	mu       sync.Mutex
	refusals map[refusal]int64
	sites    map[string]*answers
}

// answers counts what one site's visitors were answered, whoever answered, by
// the status' first digit.
type answers struct{ byClass [10]atomic.Int64 }

// of returns the counts of a site. They go on over reloads.
func (m *metrics) of(site string) *answers {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sites == nil {
		m.sites = make(map[string]*answers)
	}
	a := m.sites[site]
	if a == nil {
		a = new(answers)
		m.sites[site] = a
	}
	return a
}

// answered counts a request that has been answered.
func (m *metrics) answered(x *exchange, status int) {
	m.whole.observe(time.Since(x.begun))
	if x.correlation.waited > 0 {
		m.upstream.observe(x.correlation.waited)
		m.added.observe(x.correlation.added)
	}
	m.received.Add(x.v.in.in - x.came)
	m.sent.Add(x.v.out - x.before)
	if x.site != nil {
		x.site.answers.byClass[min(status/100, 9)].Add(1)
	} else {
		m.of("").byClass[min(status/100, 9)].Add(1)
	}
}

func (m *metrics) countTags(tags []Sighting) {
	var sum [len(m.tags)]int64
	for i := range tags {
		sum[tags[i].Fate] += 1 + int64(tags[i].More)
	}
	for fate, n := range sum {
		if n > 0 {
			m.tags[fate].Add(n)
		}
	}
}

type refusal struct {
	status int
	reason string
}

func (m *metrics) finish(x *exchange, err error) {
	m.byClass[min(x.answer.status/100, 9)].Add(1)
	switch {
	case errors.Is(err, errVisitorLeft):
		m.left.Add(1)
	case err != nil:
		m.cut.Add(1)
	}
}

func (m *metrics) refuse(status int, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusals == nil {
		m.refusals = make(map[refusal]int64)
	}
	m.refusals[refusal{status, reason}]++
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// WriteMetrics writes all metrics in Prometheus' text format.
func (p *Proxy) WriteMetrics(w io.Writer) {
	m := &p.metrics
	family := func(name, kind, help string) {
		fmt.Fprintf(w, "# HELP askfirst_%s %s\n# TYPE askfirst_%s %s\n", name, help, name, kind)
	}
	counter := func(name, help string, n *atomic.Int64) {
		family(name, "counter", help)
		fmt.Fprintf(w, "askfirst_%s %d\n", name, n.Load())
	}
	family("requests_total", "counter", "Requests that were answered, by site and class of status; site is empty where none was meant.")
	m.mu.Lock()
	for _, site := range slices.Sorted(maps.Keys(m.sites)) {
		for class := range m.sites[site].byClass {
			if n := m.sites[site].byClass[class].Load(); n > 0 {
				fmt.Fprintf(w, "askfirst_requests_total{site=\"%s\",code=\"%dxx\"} %d\n", labelEscapes.Replace(site), class, n)
			}
		}
	}
	m.mu.Unlock()
	writeBanners(w, p.sites.Load().all)
	family("request_seconds", "histogram", "Time from a request's head to the end of its answer.")
	m.whole.write(w, "request_seconds")
	family("upstream_seconds", "histogram", "Time that upstreams were waited for: until the answer's head, and the body of a page that is held whole.")
	m.upstream.write(w, "upstream_seconds")
	family("added_seconds", "histogram", "Time beside that until the answer's head was ready to be sent: what askfirst adds.")
	m.added.write(w, "added_seconds")
	family("tags_total", "counter", "Tags met in pages and header fields, by what became of them.")
	for fate := range m.tags {
		fmt.Fprintf(w, "askfirst_tags_total{fate=\"%s\"} %d\n", consent.Fate(fate), m.tags[fate].Load())
	}
	family("answers_total", "counter", "Answers of upstreams that were passed on, by class of status.")
	for class := range m.byClass {
		if n := m.byClass[class].Load(); n > 0 {
			fmt.Fprintf(w, "askfirst_answers_total{class=\"%dxx\"} %d\n", class, n)
		}
	}
	family("refusals_total", "counter", "Requests that were answered with an error of our own, by status and reason.")
	m.mu.Lock()
	all := make([]refusal, 0, len(m.refusals))
	for r := range m.refusals {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].status < all[j].status || all[i].status == all[j].status && all[i].reason < all[j].reason
	})
	for _, r := range all {
		fmt.Fprintf(w, "askfirst_refusals_total{status=\"%d\",reason=\"%s\"} %d\n", r.status, r.reason, m.refusals[r])
	}
	m.mu.Unlock()
	counter("own_requests_total", "Requests to own endpoints.", &m.own)
	counter("answers_cut_total", "Answers that the upstream did not finish.", &m.cut)
	counter("visitors_left_total", "Visitors who left before their answer was whole.", &m.left)
	counter("upstream_retries_total", "Requests sent again after a kept connection had died.", &m.retries)
	counter("pages_total", "Pages that were rewritten or taken from the memo.", &m.pages)
	counter("pages_streamed_total", "Pages that were too large or too slow to be held whole.", &m.streamed)
	counter("pages_unread_total", "Pages that could not be read and were sent under a policy that holds third parties.", &m.unread)
	counter("memo_hits_total", "Pages taken from the memo.", &m.hits)
	counter("memo_misses_total", "Pages that were not in the memo.", &m.misses)
	counter("memo_shared_total", "Pages that were made for another visitor at the same moment.", &m.shared)
	counter("memo_revised_total", "Pages of which little had changed, so that only that was rewritten.", &m.revised)
	counter("memo_refined_total", "Remembered pages that were encoded again, smaller.", &m.refined)
	counter("memo_waits_total", "Pauses of upstreams that were waited out, since the page so far was a remembered one.", &m.waits)
	counter("faults_total", "Faults of askfirst's own, each of which ended a connection.", &m.faults)
	counter("sent_bytes_total", "Bytes sent to visitors.", &m.sent)
	counter("received_bytes_total", "Bytes received from visitors.", &m.received)
	counter("spans_lost_total", "Spans that no collector took.", &m.lostSpans)
	family("tunnels", "gauge", "Open WebSocket tunnels.")
	fmt.Fprintf(w, "askfirst_tunnels %d\n", m.tunnels.Load())
	p.mu.Lock()
	visitors := len(p.visitors)
	p.mu.Unlock()
	family("visitors", "gauge", "Open connections of visitors.")
	fmt.Fprintf(w, "askfirst_visitors %d\n", visitors)
	pages, bytes := p.memo.size()
	drafts, draftBytes := p.drafts.size()
	family("memo_pages", "gauge", "Pages in the memo.")
	fmt.Fprintf(w, "askfirst_memo_pages %d\n", pages)
	family("memo_drafts", "gauge", "Pages that change each time, of which the memo has the last version.")
	fmt.Fprintf(w, "askfirst_memo_drafts %d\n", drafts)
	family("memo_bytes", "gauge", "Bytes held by the memo.")
	fmt.Fprintf(w, "askfirst_memo_bytes %d\n", bytes+draftBytes)
}

// writeBanners writes what was counted of choices and reports, by site. A reload
// makes new banners, which count from nought, as Prometheus' counters may.
func writeBanners(w io.Writer, all []*site) {
	counts := make([][]banner.Counter, len(all))
	for i, s := range all {
		counts[i] = s.banner.Counters()
	}
	for k := range counts[0] {
		c := counts[0][k]
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s counter\n", c.Name, c.Help, c.Name)
		for i, s := range all {
			fmt.Fprintf(w, "%s{site=\"%s\"} %d\n", c.Name, labelEscapes.Replace(s.Name), counts[i][k].Value)
		}
	}
}
