package proxy

import (
	"bytes"
	"context"
	base16 "encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// span is one request in a trace (W3C Trace Context): that of the visitor to
// us, and below it ours to the upstream.
type span struct {
	trace    [16]byte
	parent   [8]byte // zero for none
	own      [8]byte
	upstream [8]byte
	sampled  bool
}

// begin makes x's span: under what the request says it belongs to, else in a
// trace of its own.
func (t *tracer) begin(x *exchange, trust bool) {
	s := &x.correlation.span
	*s = span{}
	asked := false
	if x.request.count(nameTraceparent) == 1 {
		asked = s.parseParent(x.request.get(nameTraceparent)) && trust
	}
	if s.trace == [16]byte{} {
		fillRandom(s.trace[:])
	}
	if !asked {
		s.sampled = rand.Float64() < t.settings.Sample
	}
	fillRandom(s.own[:])
	fillRandom(s.upstream[:])
}

// parseParent reads traceparent (Trace Context, section 3.2). Of versions that
// are not known yet it reads what they share with version 0.
func (s *span) parseParent(v []byte) bool {
	const length = len("00-") + 32 + 1 + 16 + len("-00")
	if len(v) < length || len(v) > length && (v[length] != '-' || v[0] == '0' && v[1] == '0') ||
		v[2] != '-' || v[35] != '-' || v[52] != '-' || string(v[:2]) == "ff" {
		return false
	}
	for i, c := range v[:length] {
		if i != 2 && i != 35 && i != 52 && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	var read span
	base16.Decode(read.trace[:], v[3:35])
	base16.Decode(read.parent[:], v[36:52])
	if read.trace == [16]byte{} || read.parent == [8]byte{} {
		return false
	}
	var flags [1]byte
	base16.Decode(flags[:], v[53:55])
	read.sampled = flags[0]&1 != 0
	*s = read
	return true
}

// appendParent appends the traceparent of the request to the upstream.
func (s *span) appendParent(out []byte) []byte {
	out = base16.AppendEncode(append(out, "00-"...), s.trace[:])
	out = base16.AppendEncode(append(out, '-'), s.upstream[:])
	if s.sampled {
		return append(out, "-01"...)
	}
	return append(out, "-00"...)
}

// tracer sends spans to a collector, in batches and beside the requests: one
// that does not take them costs spans, and nothing else.
//
// OpenTelemetry's own exporter would add eight megabytes to the program and the
// better part of a minute to its build, for one JSON document.
type tracer struct {
	settings configs.Tracing
	client   http.Client
	log      *slog.Logger
	lost     *atomic.Int64

	mu      sync.Mutex
	waiting []otlpSpan
	timer   *time.Timer // runs while spans wait
	sending sync.Mutex
}

const (
	spanBatch = 512
	spanQueue = 4 * spanBatch
	spanDelay = 2 * time.Second
)

// newTracer returns nil where spans are not wanted; before, if it sends where
// cfg says.
func newTracer(cfg *configs.Config, before *tracer, lost *atomic.Int64, log *slog.Logger) *tracer {
	if cfg.Tracing.Endpoint == "" {
		return nil
	}
	if before != nil && before.settings == cfg.Tracing {
		return before
	}
	return &tracer{settings: cfg.Tracing, client: http.Client{Timeout: 10 * time.Second}, lost: lost, log: log}
}

// The JSON form of OTLP's ExportTraceServiceRequest, as far as it is used here
// (opentelemetry-proto, trace/v1; identifiers are in hex).
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpSpan struct {
		TraceID    string          `json:"traceId"`
		SpanID     string          `json:"spanId"`
		ParentID   string          `json:"parentSpanId,omitempty"`
		Name       string          `json:"name"`
		Kind       int             `json:"kind"`
		Start      string          `json:"startTimeUnixNano"`
		End        string          `json:"endTimeUnixNano"`
		Attributes []otlpAttribute `json:"attributes"`
		Status     otlpStatus      `json:"status"`
	}
	otlpStatus struct {
		Code int `json:"code,omitempty"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		String string `json:"stringValue,omitempty"`
		Int    string `json:"intValue,omitempty"`
	}
)

const (
	kindServer  = 2
	kindClient  = 3
	statusError = 2
)

func textOf(key, value string) otlpAttribute { return otlpAttribute{key, otlpValue{String: value}} }

func numberOf(key string, value int) otlpAttribute {
	return otlpAttribute{key, otlpValue{Int: strconv.Itoa(value)}}
}

// end takes the spans of x, which has been answered with status. Nothing of the
// visitor is in them: no address, no agent, no query.
func (t *tracer) end(x *exchange, status int) {
	s := &x.correlation.span
	if !s.sampled {
		return
	}
	now := time.Now()
	at := func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
	method := string(x.request.method)
	attributes := []otlpAttribute{
		textOf("http.request.method", method), textOf("url.scheme", x.scheme()), textOf("url.path", string(x.path())),
		textOf("server.address", string(x.host)), numberOf("http.response.status_code", status),
		textOf("askfirst.request_id", string(x.correlation.id)),
	}
	if x.site != nil {
		attributes = append(attributes, textOf("askfirst.site", x.site.Name))
	}
	own := otlpSpan{
		TraceID: base16.EncodeToString(s.trace[:]), SpanID: base16.EncodeToString(s.own[:]), Name: method, Kind: kindServer,
		Start: at(x.begun), End: at(now), Attributes: attributes,
	}
	if s.parent != [8]byte{} {
		own.ParentID = base16.EncodeToString(s.parent[:])
	}
	if status >= 500 {
		own.Status.Code = statusError
	}
	spans := []otlpSpan{own}
	if waited := x.correlation.waited; waited > 0 {
		below := otlpSpan{
			TraceID: own.TraceID, SpanID: base16.EncodeToString(s.upstream[:]), ParentID: own.SpanID, Name: method, Kind: kindClient,
			Start: own.Start, End: at(x.begun.Add(waited)), Attributes: attributes[:1:1], Status: own.Status,
		}
		spans = append(spans, below)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting)+len(spans) > spanQueue {
		t.lost.Add(int64(len(spans)))
		return
	}
	t.waiting = append(t.waiting, spans...)
	switch {
	case t.timer == nil:
		t.timer = time.AfterFunc(spanDelay, t.flush)
	case len(t.waiting) >= spanBatch:
		t.timer.Reset(0)
	}
}

// flush sends the spans that wait.
func (t *tracer) flush() {
	t.sending.Lock()
	defer t.sending.Unlock()
	t.mu.Lock()
	spans := t.waiting
	t.waiting, t.timer = nil, nil
	t.mu.Unlock()
	if len(spans) == 0 {
		return
	}
	if err := t.send(spans); err != nil {
		t.lost.Add(int64(len(spans)))
		t.log.Warn("spans were lost", "endpoint", t.settings.Endpoint, "spans", len(spans), "error", err)
	}
}

func (t *tracer) send(spans []otlpSpan) error {
	scope := otlpScopeSpans{Spans: spans}
	scope.Scope.Name = "askfirst"
	body, err := json.Marshal(otlpRequest{[]otlpResourceSpans{{
		Resource:   otlpResource{[]otlpAttribute{textOf("service.name", "askfirst")}},
		ScopeSpans: []otlpScopeSpans{scope},
	}}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, t.settings.Endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %s", resp.Status)
	}
	return nil
}

// FlushTraces sends what spans wait to be sent; call it after Shutdown.
func (p *Proxy) FlushTraces() {
	if t := p.sites.Load().tracer; t != nil {
		t.flush()
	}
}
