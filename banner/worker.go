package banner

import (
	_ "embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

//go:embed dist/worker.js
var workerBundle []byte

// maxCall is the length of a worker's question in bytes. Browsers ask for addresses
// that are longer, but hardly a call does; it is held.
const maxCall = 16 << 10

// workerPage is what the guard of a worker is told of the page that made it.
type workerPage struct {
	Ask   string `json:"ask"`
	Page  string `json:"page"`
	Child bool   `json:"child"`
}

// call is a worker's question.
type call struct {
	workerPage
	Kind string `json:"kind"`
	URL  string `json:"url"`
}

// serveWorker answers with what comes first in a worker whose script a page or a worker
// made itself. The query says whether the page is for children, and its path.
func (b *Banner) serveWorker(ctx *fasthttp.RequestCtx, _ *Visit) {
	query := string(ctx.URI().QueryString())
	path := strings.IndexByte(query, '/')
	if path < 0 {
		b.refuse(ctx, fasthttp.StatusBadRequest, "want the path of a page")
		return
	}
	private(ctx)
	ctx.Response.Header.Set("Cache-Control", "private, max-age=300")
	ctx.SetContentType("text/javascript; charset=utf-8")
	ctx.Response.SetBodyRaw(append(b.AppendWorker(nil, query[path:], query[:path] == "true"), '\n'))
}

// AppendWorker appends what comes first in a worker's script: the guard of workers, told
// of the page that the worker is for. It is one line that ends a statement.
func (b *Banner) AppendWorker(dst []byte, path string, child bool) []byte {
	page := workerPage{Ask: b.o.Prefix + "worker", Page: path, Child: child}
	if !isLocal(path) || len(path) > maxPage {
		page.Page = "/"
	}
	told, _ := json.Marshal(page) // strings and truths alone: it cannot fail
	dst = append(append(dst, "self.__askfirst_page="...), told...)
	return append(append(append(dst, ';'), workerBundle...), ';')
}

// serveCall answers a worker whether it may make a call, and counts the call.
func (b *Banner) serveCall(ctx *fasthttp.RequestCtx, v *Visit) {
	data, ok := b.readBody(ctx, maxCall)
	if !ok {
		return
	}
	var c call
	err := decodeStrict(data, &c)
	kind, known := rules.ParseKind(c.Kind)
	if err != nil || !known || !isLocal(c.Page) || len(c.Page) > maxPage {
		b.refuse(ctx, fasthttp.StatusBadRequest, "want page, child, kind and url in JSON")
		return
	}
	granted := v.Standing.Granted
	if c.Child {
		granted = 0
	}
	var page rules.Page
	page.Reset([]byte(origin(v) + c.Page))
	d := b.engine.URL(&page, []byte(c.URL), kind)
	allowed := d.Allowed(granted)
	if (d.Party == rules.ThirdParty || d.Rule != nil) && b.reportLimit.allow(v.Address, time.Now()) {
		b.countCall(&page, &c, kind, d, allowed, granted)
	}
	answer, err := json.Marshal(map[string]bool{"allowed": allowed})
	if err != nil {
		b.refuse(ctx, fasthttp.StatusInternalServerError, "the answer could not be written")
		return
	}
	private(ctx)
	ctx.SetContentType("application/json")
	ctx.SetBody(answer)
}

// countCall reports a worker's call as a page reports its own.
func (b *Banner) countCall(page *rules.Page, c *call, kind rules.Kind, d rules.Decision, allowed bool, granted consent.Set) {
	address, _, _ := strings.Cut(c.URL, "?")
	tag, ok := b.tag(page, address, kind)
	if !ok {
		return
	}
	tag.Decision, tag.Event, tag.Count = d, "held", 1
	if allowed {
		tag.Event = "fired"
	}
	b.observer.Report(b.o.Site, &Report{Page: c.Page, Granted: granted & consent.All, Tags: []ReportedTag{tag}})
}
