package admin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules/consent"
)

// TestReportOnPaper prints a month's report as a browser does. Where
// ASKFIRST_SCREENSHOTS names a folder, the PDF goes there.
func TestReportOnPaper(t *testing.T) {
	o := open(t)
	store, engine := month(t)
	// What is longer than a line, and more than a page.
	long := strings.Repeat("a-very-long-name-", 12)
	for i := range 60 {
		store.Count("shop", fmt.Appendf(nil, "/%s/%c", long, 'a'+i%26), 0, []audit.Sighting{
			{Category: consent.Unclassified, Kind: "script", Host: fmt.Appendf(nil, "%s%d.example", long, i), Path: []byte("/" + long), Event: audit.Passed, Count: 1},
			{Vendor: "mixpanel", VendorName: "Mixpanel", Category: consent.Analytics, Kind: "script", Host: []byte("cdn.mxpnl.com"), Path: []byte("/" + long), Event: audit.FiredAnyway, Count: 1},
		})
		store.CountCookie("shop", fmt.Appendf(nil, "_%s%d", long, i), "", consent.Unclassified, "response", false)
	}
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	site := Site{Engine: engine, Transfers: map[string]string{"google-analytics": "dpf", "mixpanel": "scc"}}
	if err := Report(t.Context(), &report, store, site, "shop", time.Now()); err != nil {
		t.Fatal(err)
	}
	for vendor, basis := range map[string]string{
		"Google Analytics": "EU-US Data Privacy Framework (art. 45)", "Mixpanel": "standard contractual clauses (art. 46)", "Meta Pixel": "no basis stated",
	} {
		if row := regexp.MustCompile(`<tr><td>` + vendor + `</td>.*</tr>`).FindString(report.String()); !strings.Contains(row, "<td>"+basis+"</td>") {
			t.Errorf("%s: %q does not say %q", vendor, row, basis)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(report.Bytes())
	}))
	t.Cleanup(server.Close)

	// As wide as A4 between its margins, 174 mm at 96 dots an inch.
	const width = 658
	o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(width, 900)))
	call(o, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	o.must(chromedp.Do(o.ctx, chromedp.Navigate(server.URL)))
	o.until(`document.readyState === "complete"`)
	wide, err := chromedp.Run(o.ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > 658.5 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map(e => e.outerHTML.slice(0, 80)).join("\n")`))
	o.must(err)
	if wide != "" {
		t.Errorf("cut at the edge of the paper:\n%s", wide)
	}
	yes := true
	printed, err := chromedp.Run(o.ctx, func(ctx context.Context, t *chromedp.Target) (page.PrintToPDFResult, error) {
		return cdp.Call(ctx, t, page.PrintToPDF, page.PrintToPDFParams{PreferCSSPageSize: &yes, GenerateTaggedPDF: &yes})
	})
	o.must(err)
	pdf := printed.Data
	if pages := len(regexp.MustCompile(`/Type\s*/Page\b`).FindAll(pdf, -1)); !bytes.HasPrefix(pdf, []byte("%PDF-")) || pages < 4 {
		t.Errorf("%d bytes of PDF with %d pages", len(pdf), pages)
	}
	if dir := os.Getenv("ASKFIRST_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "report.pdf"), pdf, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.quiet(server.URL)
}
