package banner

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
)

// maxViolations is the length of a body of CSP reports, in bytes: browsers send
// several at once, each with the whole policy in it.
const maxViolations = 32 << 10

// violation is what is read of a CSP report, in either of its forms: that of
// report-uri (CSP 3 §5.3) and that of the Reporting API (§5.4).
type violation struct {
	document, blocked, directive, disposition string
}

func (b *Banner) serveViolations(ctx *fasthttp.RequestCtx, v *Visit) {
	if !b.reportLimit.allow(v.Address, time.Now()) {
		b.tooFast(ctx)
		return
	}
	media := mediaType(ctx)
	if media != "application/csp-report" && media != "application/reports+json" {
		b.refuse(ctx, fasthttp.StatusUnsupportedMediaType, "want a report of a Content-Security-Policy violation")
		return
	}
	data, ok := b.readBody(ctx, maxViolations)
	if !ok {
		return
	}
	violations, err := parseViolations(media, data)
	if err != nil {
		b.refuse(ctx, fasthttp.StatusBadRequest, "csp: malformed JSON")
		return
	}
	for _, report := range b.reports(violations, v) {
		b.observer.Report(b.o.Site, report)
	}
	private(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func parseViolations(media string, data []byte) ([]violation, error) {
	if media == "application/csp-report" {
		var r struct {
			Report struct {
				Document    string `json:"document-uri"`
				Blocked     string `json:"blocked-uri"`
				Effective   string `json:"effective-directive"`
				Violated    string `json:"violated-directive"`
				Disposition string `json:"disposition"`
			} `json:"csp-report"`
		}
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, err
		}
		directive := r.Report.Effective
		if directive == "" {
			directive, _, _ = strings.Cut(r.Report.Violated, " ")
		}
		return []violation{{r.Report.Document, r.Report.Blocked, directive, r.Report.Disposition}}, nil
	}
	var rs []struct {
		Type string `json:"type"`
		Body struct {
			Document    string `json:"documentURL"`
			Blocked     string `json:"blockedURL"`
			Effective   string `json:"effectiveDirective"`
			Disposition string `json:"disposition"`
		} `json:"body"`
	}
	if err := json.Unmarshal(data, &rs); err != nil {
		return nil, err
	}
	var violations []violation
	for _, r := range rs {
		if r.Type == "csp-violation" {
			violations = append(violations, violation{r.Body.Document, r.Body.Blocked, r.Body.Effective, r.Body.Disposition})
		}
	}
	return violations, nil
}

// directives says what a directive's requests are.
var directives = map[string]rules.Kind{
	"script-src": rules.Script, "script-src-elem": rules.Script, "worker-src": rules.Script,
	"style-src": rules.Style, "style-src-elem": rules.Style, "img-src": rules.Image, "font-src": rules.Font, "media-src": rules.Media,
	"frame-src": rules.Frame, "child-src": rules.Frame, "object-src": rules.Object, "connect-src": rules.Connect, "form-action": rules.Form,
}

// pageOf returns the path of the document that a report names, and whether it is
// one of this host. A frame or worker without an address of its own names only
// its scheme, or the origin that made it.
func pageOf(document string, v *Visit) (path string, ours bool) {
	if document == "about" || document == "about:blank" || document == "about:srcdoc" || document == "blob" {
		return "/", true
	}
	document, made := strings.CutPrefix(document, "blob:")
	u, err := url.Parse(document)
	if err != nil || !strings.EqualFold(u.Host, v.Host) {
		return "", false
	}
	if path = local(u.EscapedPath()); made || len(path) > maxPage {
		path = "/"
	}
	return path, true
}

// reports turns violations by pages of this host into reports of one tag each.
// What names no address (inline, eval) or a page elsewhere is left out.
func (b *Banner) reports(violations []violation, v *Visit) []*Report {
	var reports []*Report
	var page rules.Page
	for _, violated := range violations {
		kind, known := directives[violated.directive]
		path, ours := pageOf(violated.document, v)
		if !known || !ours || len(reports) == maxReported {
			continue
		}
		page.Reset([]byte(origin(v) + path))
		tag, ok := b.tag(&page, violated.blocked, kind)
		if !ok {
			continue
		}
		tag.Count, tag.Event = 1, "stopped"
		if violated.disposition == "report" {
			tag.Event = "fired"
		}
		reports = append(reports, &Report{Page: path, Granted: v.Standing.Granted, Tags: []ReportedTag{tag}})
	}
	return reports
}
