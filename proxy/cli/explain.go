package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// explainedSnippet is the longest snippet file that explain reads, in bytes.
const explainedSnippet = 1 << 20

func runExplain(c *console, args []string) error {
	f := c.flags("explain [options] URL|cookie:NAME|storage:KEY|FILE")
	page := f.String("page", "https://site.invalid/", "the `address` of the page that it is on")
	kind := f.String("kind", "script", "how the page uses the URL: `script, image, frame, style, ...`")
	config := f.String("config", "", "a configuration `file` whose overrides count")
	site := f.String("site", "", "the `name` of the site in it (default the first)")
	if err := parse(f, args, 1); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return usageErrorf("name a URL, cookie:NAME, storage:KEY or a file with a snippet")
	}
	k, ok := rules.ParseKind(*kind)
	if !ok {
		return usageErrorf("--kind is %q, which is none", *kind)
	}
	var options rules.Options
	if *config != "" {
		cfg, err := loadConfig(*config)
		if err != nil {
			return err
		}
		found, err := findSite(cfg, *config, *site)
		if err != nil {
			return err
		}
		options = found.Rules()
	} else if *site != "" {
		return usageErrorf("--site needs --config")
	}
	engine, err := rules.New(options)
	if err != nil {
		return usageError{err}
	}

	var context rules.Page
	context.Reset([]byte(*page))
	subject := f.Arg(0)
	var x rules.Explanation
	if name, ok := strings.CutPrefix(subject, "cookie:"); ok && name != "" {
		x = engine.ExplainCookie([]byte(name))
	} else if key, ok := strings.CutPrefix(subject, "storage:"); ok && key != "" {
		x = engine.ExplainStorage([]byte(key))
	} else if snippet, err := readSnippet(subject); err == nil {
		x = engine.ExplainInline(&context, snippet)
	} else if !os.IsNotExist(err) {
		return err
	} else if !reference.MatchString(subject) {
		return usageErrorf("%q is neither a file here nor an address: write one from https://, // or / on", subject)
	} else {
		x = engine.ExplainURL(&context, []byte(subject), k, 0)
	}
	printExplanation(c.out, subject, x)
	return nil
}

// reference is how a URL begins, absolute or from host or root on. Others are
// mistyped far more often than meant.
var reference = regexp.MustCompile(`^(?i:[/\\]|(?:https?|wss?|ftp|data|blob|javascript|about):)`)

func readSnippet(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, explainedSnippet+1))
	if len(text) > explainedSnippet {
		return nil, fmt.Errorf("%s is longer than a snippet can be (%d bytes)", name, explainedSnippet)
	}
	return text, err
}

func printExplanation(w io.Writer, subject string, x rules.Explanation) {
	fmt.Fprintf(w, "%s\n", printable(subject))
	fmt.Fprintf(w, "  category  %s\n", x.Category)
	if v := x.Vendor; v != nil {
		fmt.Fprintf(w, "  vendor    %s\n", strings.Join(nonEmpty(v.Name, v.Company, v.Country), ", "))
	}
	fmt.Fprintf(w, "  before    %s\n", fateBefore(x.Decision))
	fmt.Fprintf(w, "  decided   %s\n", reason(x.Decision))
	for _, d := range x.Otherwise {
		fmt.Fprintf(w, "  else      %s: %s\n", d.Category, reason(d))
	}
	if d := x.Aside; d.Rule != nil {
		fmt.Fprintf(w, "  in it     %s: %s\n            a program of the site's calls this tag: it runs, and what it loads is held by itself\n", d.Category, reason(d))
	}
}

// fateBefore says what happens until the visitor has chosen.
func fateBefore(d rules.Decision) string {
	switch {
	case d.Never:
		return "held, whatever the visitor agrees to"
	case d.Category == consent.Unclassified:
		return "passes and is counted, or is held with --unclassified hold"
	case d.Allowed(0):
		return "passes"
	case d.Vendor != nil && d.Vendor.Container:
		return "held until the visitor agrees to any category; what it loads is held by itself"
	}
	return "held until the visitor agrees to " + d.Category.String()
}

func reason(d rules.Decision) string {
	if d.Rule == nil {
		switch d.Party {
		case rules.FirstParty:
			return "the site's own, and no rule names it"
		case rules.ThirdParty:
			return "a third party that no rule knows"
		}
		return "no rule knows it"
	}
	where := d.Rule.File
	if d.Rule.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, d.Rule.Line)
	}
	return strings.Join(nonEmpty(d.Rule.Source, printable(d.Rule.Text), where), "  ")
}

func nonEmpty(texts ...string) []string {
	kept := texts[:0]
	for _, t := range texts {
		if t != "" {
			kept = append(kept, t)
		}
	}
	return kept
}
