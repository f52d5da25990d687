package cli

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/rewrite"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// auditedPage is the most of one page that audit reads, in bytes.
const auditedPage = 64 << 20

// auditRow is one tag of one page.
type auditRow struct {
	Page     string `json:"page"`
	Kind     string `json:"kind"`
	Tag      string `json:"tag"` // host and path, or what is inline
	Vendor   string `json:"vendor"`
	Company  string `json:"company"`
	Country  string `json:"country"`
	Category string `json:"category"`
	Fate     string `json:"fate"` // before the visitor has chosen
	Rule     string `json:"rule"`
	Count    int    `json:"count"`
}

func runAudit(c *console, args []string) error {
	f := c.flags("audit [options] URL|FILE...")
	asJSON := f.Bool("json", false, "print JSON, one array")
	asCSV := f.Bool("csv", false, "print CSV, with a header")
	base := f.String("base", "", "the `address` that files are pages of, to tell first from third party")
	unclassified := f.String("unclassified", "pass", "fate of third parties that no rule knows: `pass or hold`")
	failOn := f.String("fail-on", "", "exit with 3 when a tag of this `category` is found, such as unclassified or marketing")
	if err := parse(f, args, 1<<16); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return usageErrorf("name at least one URL or file")
	}
	if *unclassified != "pass" && *unclassified != "hold" {
		return usageErrorf("--unclassified is %q; it can be pass or hold", *unclassified)
	}
	gate, gated := consent.ParseCategory(*failOn)
	if *failOn != "" && !gated {
		return usageErrorf("--fail-on is %q, which is no category", *failOn)
	}
	engine, err := rules.New(rules.Options{})
	if err != nil {
		return err
	}
	var granted consent.Set
	if *unclassified == "pass" {
		granted = granted.With(consent.Unclassified)
	}

	var rows []auditRow
	var bare []string // targets without a tag
	found := false
	for _, target := range f.Args() {
		address, page, err := openPage(target, *base)
		if err != nil {
			return err
		}
		tags, err := auditPage(engine, address, page, granted)
		page.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		for i := range tags {
			tags[i].Page = target
			found = found || gated && tags[i].Category == gate.String()
		}
		if rows = append(rows, tags...); len(tags) == 0 {
			bare = append(bare, target)
		}
	}
	switch {
	case *asJSON:
		err = printJSON(c.out, rows)
	case *asCSV:
		err = printCSV(c.out, rows)
	default:
		err = printTable(c.out, rows, bare)
	}
	if err == nil && found {
		return errGate
	}
	return err
}

// openPage fetches a URL or opens a file, and tells the address of the page.
func openPage(target, base string) (address string, page io.ReadCloser, err error) {
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
		if page, err = openInput(target); os.IsNotExist(err) {
			return "", nil, usageErrorf("there is no file %s; write the address of a page from http:// or https:// on", target)
		}
		if base == "" {
			base = "http://" + strings.TrimSuffix(filepath.Base(target), filepath.Ext(target)) + ".invalid/"
		}
		return base, page, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		cancel()
		return "", nil, usageError{err}
	}
	req.Header.Set("User-Agent", "askfirst-audit")
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		return "", nil, err
	}
	if resp.StatusCode/100 != 2 {
		resp.Body.Close()
		cancel()
		return "", nil, fmt.Errorf("%s: answered %s, which is not the page", target, resp.Status)
	}
	return resp.Request.URL.String(), cancelledBody{resp.Body, cancel}, nil
}

// cancelledBody ends its request with the reading of the answer.
type cancelledBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b cancelledBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// auditPage lists the tags of a page as a visitor meets them who has not
// chosen yet, equal ones summed up, in the order of their first sight.
func auditPage(engine *rules.Engine, address string, page io.Reader, granted consent.Set) ([]auditRow, error) {
	var rows []auditRow
	index := map[auditRow]int{}
	rw := rewrite.Acquire(io.Discard, &rewrite.Document{
		Rules:   engine,
		URL:     []byte(address),
		Granted: granted,
		// A box stands in for what can be seen; which one does not matter here.
		Placeholder: func(dst, _ []byte, _ *rewrite.Box) []byte { return append(dst, "<askfirst-placeholder>"...) },
		Seen: func(t *rewrite.Tag) {
			row := auditRow{
				Kind:     t.Kind.String(),
				Tag:      string(t.Host) + string(t.Path),
				Category: t.Decision.Category.String(),
				Fate:     t.Fate.String(),
			}
			if v := t.Decision.Vendor; v != nil {
				row.Vendor, row.Company, row.Country = v.Name, v.Company, v.Country
			}
			if r := t.Decision.Rule; r != nil {
				row.Rule = r.Text
			}
			i, known := index[row]
			if !known {
				i = len(rows)
				index[row] = i
				rows = append(rows, row)
			}
			rows[i].Count++
		},
	})
	defer rewrite.Release(rw)
	if _, err := io.Copy(rw, io.LimitReader(page, auditedPage)); err != nil {
		return nil, err
	}
	if err := rw.Close(); err != nil {
		return nil, err
	}
	return rows, nil
}

func printJSON(w io.Writer, rows []auditRow) error {
	if rows == nil {
		rows = []auditRow{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(rows)
}

func printCSV(w io.Writer, rows []auditRow) error {
	out := csv.NewWriter(w)
	out.Write([]string{"page", "kind", "tag", "vendor", "company", "country", "category", "fate", "rule", "count"})
	for _, r := range rows {
		out.Write([]string{r.Page, r.Kind, admin.Inert(r.Tag), r.Vendor, r.Company, r.Country, r.Category, r.Fate, admin.Inert(r.Rule), fmt.Sprint(r.Count)})
	}
	out.Flush()
	return out.Error()
}

func printTable(w io.Writer, rows []auditRow, bare []string) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	page := ""
	third := map[string]int{}
	for _, r := range rows {
		if r.Page != page {
			page = r.Page
			fmt.Fprintf(out, "%s\n", page)
			fmt.Fprintf(out, "  CATEGORY\tFATE\tVENDOR\tKIND\tTIMES\tTAG\n")
		}
		fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%d\t%s\n", r.Category, r.Fate, cmp.Or(r.Vendor, "-"), r.Kind, r.Count, printable(cmp.Or(r.Tag, "(inline)")))
		if r.Category == consent.Unclassified.String() {
			host, _, _ := strings.Cut(r.Tag, "/")
			third[host] += r.Count
		}
	}
	for _, target := range bare {
		fmt.Fprintf(out, "%s\n  no tag\n", target)
	}
	if len(third) > 0 {
		hosts := make([]string, 0, len(third))
		for host := range third {
			hosts = append(hosts, host)
		}
		slices.SortFunc(hosts, func(a, b string) int { return cmp.Or(third[b]-third[a], strings.Compare(a, b)) })
		fmt.Fprintf(out, "unclassified third parties, the most used first\n")
		for _, host := range hosts {
			fmt.Fprintf(out, "  %d\t%s\n", third[host], printable(host))
		}
	}
	return out.Flush()
}

// printable takes out what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
