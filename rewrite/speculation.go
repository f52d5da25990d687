package rewrite

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
)

var speculationRule = rules.Rule{Source: "vector", Text: "speculation rules for links to others"}

// judgeSpeculation decides about speculation rules that have the browser fetch ahead
// whatever the page links to (HTML, section 7.7.1). Which links those are is not told
// where the rules stand: what may pick one to another site waits.
func (rw *Rewriter) judgeSpeculation(text []byte) {
	i := rw.find(attrType)
	if i < 0 || !scan.EqualFold(bytes.TrimSpace(rw.valueOf(i)), "speculationrules") {
		return
	}
	var set map[string]any
	if json.Unmarshal(text, &set) != nil {
		return // To browsers it says nothing either.
	}
	for _, list := range set {
		list, _ := list.([]any)
		for _, rule := range list {
			rule, _ := rule.(map[string]any)
			where, picks := rule["where"]
			if (picks || rule["source"] == "document") && !rw.staysHome(where) {
				rw.hold(-1, unread(&speculationRule), &listVector, nil)
				return
			}
		}
	}
}

// staysHome reports whether a predicate is met by links within the site alone.
func (rw *Rewriter) staysHome(predicate any) bool {
	p, _ := predicate.(map[string]any)
	if all, ok := p["and"].([]any); ok {
		return slices.ContainsFunc(all, rw.staysHome)
	}
	if either, ok := p["or"].([]any); ok {
		return !slices.ContainsFunc(either, func(p any) bool { return !rw.staysHome(p) })
	}
	patterns, ok := p["href_matches"].([]any)
	if !ok {
		patterns = []any{p["href_matches"]}
	}
	return len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p any) bool { return !rw.isOwnPattern(p) })
}

// isOwnPattern reports whether a URL pattern names the site itself: by what stands
// before anything that may be of many sorts, up to a path.
func (rw *Rewriter) isOwnPattern(pattern any) bool {
	text, _ := pattern.(string)
	named := []byte(text)
	if end := bytes.IndexAny(named, "*{(+?#"); end >= 0 {
		named = named[:end]
	}
	if len(named) == 0 || named[0] != '/' && bytes.Count(named, []byte{'/'}) < 3 {
		return false
	}
	d, _ := rw.ask(named, rules.Hint, 0)
	return d.Party == rules.FirstParty
}
