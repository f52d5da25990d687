package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/askfirst/askfirst/configs"
)

// heads gives the heads of requests to an upstream that answers with ok.
func heads(t *testing.T) (url string, got chan string) {
	got = make(chan string, 100)
	return each(t, func(p *peer, head string) {
		got <- head
		p.send(ok)
	}), got
}

func valueOf(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, _ := strings.Cut(line, ": "); strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

func TestRequestID(t *testing.T) {
	for name, c := range map[string]struct {
		trust bool
		in    string
		keeps bool
	}{
		"none":           {true, "", false},
		"of a stranger":  {false, "0123-abc", false},
		"of a proxy":     {true, "0123-abc", true},
		"not one":        {true, `a"b`, false},
		"a list":         {true, "a, b", false},
		"too long":       {true, strings.Repeat("a", 129), false},
		"as long as may": {true, strings.Repeat("a", 128), true},
	} {
		t.Run(name, func(t *testing.T) {
			upstream, got := heads(t)
			log := new(lines)
			s := newStage(t, upstream, func(cfg *configs.Config) {
				cfg.AccessLog = "json"
				if c.trust {
					trusting(cfg)
				}
			})
			s.proxy.o.Access = log
			p := s.dial()
			for range 2 {
				var fields []string
				if c.in != "" {
					fields = append(fields, "x-request-ID: "+c.in)
				}
				p.send(get("/", fields...)).status()
			}
			p.send(get("/_askfirst/none")).status()
			p.send(get("/", "Content-Length: x")).status()
			p.rest()
			one, two := valueOf(<-got, "X-Request-Id"), valueOf(<-got, "X-Request-Id")
			if c.keeps && (one != c.in || two != c.in) {
				t.Errorf("%q, %q, want %q", one, two, c.in)
			}
			if random := regexp.MustCompile(`^[0-9a-f]{32}$`); !c.keeps && (one == two || !random.MatchString(one) || !random.MatchString(two)) {
				t.Errorf("%q, %q, want two of our own", one, two)
			}
			all := strings.SplitAfter(log.take(), "\n")
			if len(all) != 5 || !strings.Contains(all[0], `"id":"`+one+`"`) || !strings.Contains(all[1], `"id":"`+two+`"`) {
				t.Errorf("logged %q", all)
			}
			for _, line := range all[:4] {
				var entry struct{ ID string }
				if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.ID == "" {
					t.Errorf("%q: %v", line, err)
				}
			}
		})
	}
}

func TestWholeAddresses(t *testing.T) {
	log := new(lines)
	s := newStage(t, always(t, ok), func(c *configs.Config) { c.AccessLog, c.WholeAddresses = "common", true })
	s.proxy.o.Access = log
	p := s.dial()
	p.send(get("/")).status()
	p.send(get("/")).status()
	if line := log.take(); !strings.HasPrefix(line, "127.0.0.1 - - ") {
		t.Errorf("%q", line)
	}
}

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	trace  = "0af7651916cd43dd8448eb211c80319c"
)

// Without tracing what says to which trace a request belongs is not touched.
func TestTraceContextPasses(t *testing.T) {
	upstream, got := heads(t)
	s := newStage(t, upstream)
	s.dial().send(get("/", "TraceParent: "+parent, "tracestate: a=1", "tracestate: b=2")).status()
	if head := <-got; !strings.Contains(head, "TraceParent: "+parent+"\r\ntracestate: a=1\r\ntracestate: b=2\r\n") {
		t.Errorf("%q", head)
	}
}

// collector takes spans as OTLP's JSON has them, and refuses what has not.
type collector struct {
	*httptest.Server
	spans chan otlpSpan
}

func newCollector(t *testing.T) *collector {
	c := &collector{spans: make(chan otlpSpan, 100)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request otlpRequest
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&request); err != nil || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/v1/traces" {
			t.Errorf("%s %s: %v", r.URL.Path, body, err)
		}
		// OpenTelemetry's collector reads the same.
		read, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(body)
		if err != nil || read.ResourceSpans().Len() != 1 || read.ResourceSpans().At(0).ScopeSpans().Len() != 1 {
			t.Errorf("%s: %v", body, err)
			return
		}
		if name, _ := read.ResourceSpans().At(0).Resource().Attributes().Get("service.name"); name.AsString() != "askfirst" {
			t.Errorf("service.name %q", name.AsString())
		}
		spans := read.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
		if spans.Len() != len(request.ResourceSpans[0].ScopeSpans[0].Spans) {
			t.Errorf("%d spans are read of %s", spans.Len(), body)
			return
		}
		for i, s := range request.ResourceSpans[0].ScopeSpans[0].Spans {
			checkRead(t, spans.At(i), &s)
			c.spans <- s
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// checkRead compares a span as OpenTelemetry reads it with what was sent.
func checkRead(t *testing.T, read ptrace.Span, sent *otlpSpan) {
	start, _ := strconv.ParseUint(sent.Start, 10, 64)
	end, _ := strconv.ParseUint(sent.End, 10, 64)
	attributes := map[string]any{}
	for _, a := range sent.Attributes {
		attributes[a.Key] = a.Value.String
		if a.Value.Int != "" {
			attributes[a.Key], _ = strconv.ParseInt(a.Value.Int, 10, 64)
		}
	}
	if read.TraceID().String() != sent.TraceID || read.SpanID().String() != sent.SpanID || read.ParentSpanID().String() != sent.ParentID ||
		read.Name() != sent.Name || int(read.Kind()) != sent.Kind || int(read.Status().Code()) != sent.Status.Code ||
		uint64(read.StartTimestamp()) != start || uint64(read.EndTimestamp()) != end || start == 0 || end < start ||
		!maps.Equal(read.Attributes().AsRaw(), attributes) {
		t.Errorf("%+v is read as %v %v %v %v", sent, read.TraceID(), read.SpanID(), read.Kind(), read.Attributes().AsRaw())
	}
}

func TestTracing(t *testing.T) {
	for name, c := range map[string]struct {
		trust   bool
		sample  float64
		in      string
		joins   bool // the visitor's trace is gone on with
		sampled bool
	}{
		"none":                  {sample: 1, sampled: true},
		"none, not sampled":     {sample: 0},
		"a stranger's":          {sample: 0, in: parent, joins: true},
		"a stranger's, sampled": {sample: 1, in: parent, joins: true, sampled: true},
		"a proxy's":             {trust: true, sample: 0, in: parent, joins: true, sampled: true},
		"a proxy's, unsampled":  {trust: true, sample: 1, in: parent[:53] + "00", joins: true},
		"a later version":       {trust: true, sample: 0, in: "01" + parent[2:] + "-more", joins: true, sampled: true},
		"too long":              {trust: true, sample: 0, in: parent + "-more"},
		"version ff":            {trust: true, sample: 0, in: "ff" + parent[2:]},
		"capitals":              {trust: true, sample: 0, in: strings.ToUpper(parent)},
		"no trace":              {trust: true, sample: 0, in: "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		"no parent":             {trust: true, sample: 0, in: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		"short":                 {trust: true, sample: 0, in: parent[:54]},
	} {
		t.Run(name, func(t *testing.T) {
			collector := newCollector(t)
			upstream, got := heads(t)
			s := newStage(t, upstream, func(cfg *configs.Config) {
				cfg.Tracing = configs.Tracing{Endpoint: collector.URL + "/v1/traces", Sample: c.sample}
				if c.trust {
					trusting(cfg)
				}
			})
			var fields []string
			if c.in != "" {
				fields = []string{"Traceparent: " + c.in}
			}
			p := s.dial()
			p.send(get("/a/b?secret=1", fields...)).status()
			p.send(get("/_askfirst/none")).status() // what is of the request before is known by now
			head := <-got
			sent := valueOf(head, "traceparent")
			m := regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])$`).FindStringSubmatch(sent)
			if m == nil || strings.Count(strings.ToLower(head), "traceparent") != 1 {
				t.Fatalf("%q", head)
			}
			if (m[1] == trace) != c.joins || (m[3] == "1") != c.sampled || m[2] == "b7ad6b7169203331" {
				t.Errorf("sent %s", sent)
			}
			s.proxy.FlushTraces()
			if !c.sampled {
				return
			}
			own, below := <-collector.spans, <-collector.spans
			if own.TraceID != m[1] || below.TraceID != m[1] || below.SpanID != m[2] || below.ParentID != own.SpanID ||
				own.Kind != kindServer || below.Kind != kindClient || (own.ParentID == "b7ad6b7169203331") != c.joins {
				t.Errorf("sent %s, spans %+v, %+v", sent, own, below)
			}
			attributes := map[string]string{}
			for _, a := range own.Attributes {
				attributes[a.Key] = a.Value.String + a.Value.Int
			}
			if attributes["url.path"] != "/a/b" || attributes["http.response.status_code"] != "200" || attributes["server.address"] != "shop.example" ||
				attributes["http.request.method"] != "GET" || attributes["askfirst.request_id"] != valueOf(head, "X-Request-Id") {
				t.Errorf("%v", attributes)
			}
		})
	}
}

// A collector that is away costs spans, and is told of.
func TestTracingWithoutCollector(t *testing.T) {
	s := newStage(t, always(t, ok), func(cfg *configs.Config) {
		cfg.Tracing = configs.Tracing{Endpoint: "http://127.0.0.1:1/v1/traces", Sample: 1}
	})
	p := s.dial()
	p.send(get("/")).status()
	p.send(get("/")).status()
	s.proxy.FlushTraces()
	if lost := s.proxy.metrics.lostSpans.Load(); lost < 2 {
		t.Errorf("%d spans are counted as lost", lost)
	}
}

func TestServerTiming(t *testing.T) {
	upstream := each(t, func(p *peer, head string) {
		if strings.Contains(head, "/page") {
			p.send(answerWith([]byte(page), isPage))
		} else {
			p.send("HTTP/1.1 200 OK\r\nServer-Timing: db;dur=53\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	s := newStage(t, upstream, func(cfg *configs.Config) { cfg.ServerTiming = true })
	p := s.dial()
	form := regexp.MustCompile(`^upstream;dur=\d+(\.\d+)?, askfirst;dur=\d+(\.\d+)?(, memo)?$`)
	for i, target := range []string{"/file", "/page", "/page", "/page"} {
		r := p.send(get(target)).answer("GET")
		readAll(t, r.Body)
		all := r.Header.Values("Server-Timing")
		if i == 0 && (len(all) != 2 || all[0] != "db;dur=53") || !form.MatchString(all[len(all)-1]) {
			t.Errorf("%s: %q", target, all)
		}
		if memo := strings.HasSuffix(all[len(all)-1], "memo"); memo != (i == 3) {
			t.Errorf("%s, number %d: %q", target, i, all)
		}
	}
	off := newStage(t, upstream)
	if r := off.dial().send(get("/page")).answer("GET"); r.Header.Get("Server-Timing") != "" {
		t.Error("Server-Timing is sent unasked")
	}
}

// TestMetrics reads all of them: each has its type and help, no series comes
// twice, histograms add up, and what was done is what is counted.
func TestMetrics(t *testing.T) {
	upstream := each(t, func(p *peer, head string) {
		if strings.Contains(head, "/page") {
			p.send(answerWith([]byte(page), isPage))
		} else {
			p.send(ok)
		}
	})
	s := newStage(t, upstream, func(c *configs.Config) { c.Sites[0].Name = `a "shop"` })
	p := s.dial()
	for _, target := range []string{"/file", "/page", "/page", "/page", "/_askfirst/none"} {
		readAll(t, p.send(get(target)).answer("GET").Body)
	}
	p.send("GET /x HTTP/1.1\r\n\r\n").status()
	p.rest()
	if err := s.change(func(*configs.Config) {}); err != nil { // counts go on
		t.Fatal(err)
	}
	var text bytes.Buffer
	s.proxy.WriteMetrics(&text)
	series := map[string]string{}
	var family, kind string
	sample := regexp.MustCompile(`^(askfirst_[a-z0-9_]+)(\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? (\S+)$`)
	for line := range strings.SplitSeq(strings.TrimSuffix(text.String(), "\n"), "\n") {
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(help, " ")
			continue
		}
		if of, ok := strings.CutPrefix(line, "# TYPE "+family+" "); ok {
			kind = of
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(m[1], family) || kind == "counter" && !strings.HasSuffix(m[1], "_total") {
			t.Errorf("under %s %s: %q", kind, family, line)
			continue
		}
		if _, twice := series[m[1]+m[2]]; twice {
			t.Errorf("twice: %q", line)
		}
		series[m[1]+m[2]] = m[3]
	}
	for name, want := range map[string]string{
		`askfirst_requests_total{site="a \"shop\"",code="2xx"}`: "4",
		`askfirst_requests_total{site="a \"shop\"",code="4xx"}`: "1",
		`askfirst_requests_total{site="",code="4xx"}`:           "1",
		`askfirst_refusals_total{status="400",reason="host"}`:   "1",
		`askfirst_choices_unrecorded_total{site="a \"shop\""}`:  "0",
		`askfirst_memo_hits_total`:                              "1",
		`askfirst_memo_misses_total`:                            "2",
		`askfirst_request_seconds_count`:                        "6",
		`askfirst_upstream_seconds_count`:                       "4",
		`askfirst_added_seconds_bucket{le="+Inf"}`:              "4",
		`askfirst_tags_total{fate="strip"}`:                     "0",
	} {
		if series[name] != want {
			t.Errorf("%s is %s, want %s", name, series[name], want)
		}
	}
	for _, some := range []string{`askfirst_tags_total{fate="hold"}`, "askfirst_sent_bytes_total", "askfirst_received_bytes_total"} {
		if series[some] == "" || series[some] == "0" {
			t.Errorf("%s is %s", some, series[some])
		}
	}
	if t.Failed() {
		t.Log(text.String())
	}
}
