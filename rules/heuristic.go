package rules

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/askfirst/askfirst/rules/consent"
)

// Sign is what an element shows of being there to be counted, not seen. Who
// reads the page tells the engine so with URLWith.
type Sign uint8

// The signs, to be joined with "|".
const (
	// Tiny is an element whose width and height, by attributes or by its own
	// style, are both at most 1 pixel, or one of them 0.
	Tiny Sign = 1 << iota
	// Hidden is an element that is not shown: the hidden attribute, or
	// display:none, visibility:hidden or opacity:0 in its own style.
	Hidden
	// Noscript is an element inside <noscript>.
	Noscript
)

// heuristic guesses about a third party's URL that no rule knows.
type heuristic struct {
	name  string
	holds func(a *address, k Kind, s Sign) bool
}

// The heuristics, in the order in which they are asked. Each yields Marketing.
var heuristics = [...]heuristic{
	{"pixel", func(a *address, k Kind, s Sign) bool {
		return k == Image && (s&Tiny != 0 || s&Hidden != 0 && !isPicture(a))
	}},
	{"hidden-frame", func(_ *address, k Kind, s Sign) bool { return k == Frame && s&(Tiny|Hidden) != 0 }},
	{"noscript-image", func(a *address, k Kind, s Sign) bool {
		return k == Image && s&Noscript != 0 && !isPicture(a)
	}},
	{"beacon", func(_ *address, k Kind, _ Sign) bool { return k == Ping }},
	{"gif-query", func(a *address, k Kind, _ Sign) bool {
		return k == Image && bytes.HasSuffix(a.path(), gifSuffix) && isUnique(a.query())
	}},
	{"tracker-host", func(a *address, k Kind, _ Sign) bool {
		return (k == Script || k == Frame) && !a.ip && isTrackerHost(a.host())
	}},
}

var (
	gifSuffix = []byte(".gif")
	pictures  = [...]string{".jpg", ".jpeg", ".png", ".webp", ".avif", ".svg"}
	// folders are what a path has that leads to pictures without an ending.
	folders = [...]string{"/media", "/image", "/img", "/photo", "/upload"}
	// sizes are the keys by which services that scale pictures are told how.
	sizes = [...]string{"w", "h", "width", "height", "size", "resize", "fit", "crop", "quality", "q", "format", "fm", "mw", "mh"}
)

// isPicture reports whether an image is there to be seen, as pages that load
// their pictures late repeat them inside <noscript> and hide them: its path has
// the ending of one or a folder of them, or its query says how to scale it.
func isPicture(a *address) bool {
	path := a.path()
	if bytes.HasSuffix(path, gifSuffix) {
		return false
	}
	for i, c := range path {
		if c == '.' && startsFold(path[i:], pictures[:]) || c == '/' && startsFold(path[i:], folders[:]) {
			return true
		}
	}
	for _, key := range sizes {
		if queryHas(a.query(), key, "*") {
			return true
		}
	}
	return false
}

// pictureAddresses is isPicture as a regular expression (ECMAScript) of path and
// query.
func pictureAddresses() string {
	quoted := make([]string, len(pictures))
	for i, ending := range pictures {
		quoted[i] = regexp.QuoteMeta(ending)
	}
	return `^(?![^?]*\.gif(\?|$))([^?]*(` + strings.Join(quoted, "|") + "|" + strings.Join(folders[:], "|") + `)|.*[?&](` + strings.Join(sizes[:], "|") + `)=)`
}

// startsFold reports whether s starts with one of the words, in any case.
func startsFold(s []byte, words []string) bool {
	for _, w := range words {
		if len(s) >= len(w) && equalFold(s[:len(w)], w) {
			return true
		}
	}
	return false
}

// trackerLabels are what hosts that count visitors or serve ads are called by
// those who run them, a number at the end left out.
var trackerLabels = map[string]bool{
	"ad": true, "ads": true, "adserv": true, "adserver": true, "adtag": true, "adtags": true, "adv": true,
	"affiliate": true, "analytics": true, "banner": true, "banners": true, "beacon": true, "count": true,
	"counter": true, "hitcount": true, "metrics": true, "pixel": true, "pixelcounter": true, "smetrics": true,
	"stat": true, "stats": true, "telemetry": true, "track": true, "tracker": true, "tracking": true, "webtrack": true,
}

// isTrackerHost reports whether a label of the host before its last two is one
// of trackerLabels.
func isTrackerHost(host []byte) bool {
	end := bytes.LastIndexByte(host, '.')
	if end < 0 {
		return false
	}
	end = bytes.LastIndexByte(host[:end], '.')
	for end > 0 {
		start := bytes.LastIndexByte(host[:end], '.') + 1
		label := host[start:end]
		for len(label) > 0 && label[len(label)-1] <= '9' && label[len(label)-1] >= '0' {
			label = label[:len(label)-1]
		}
		if trackerLabels[string(label)] {
			return true
		}
		end = start - 1
	}
	return false
}

// trackerHosts is isTrackerHost as a regular expression.
func trackerHosts() string {
	return `(^|\.)(` + strings.Join(slices.Sorted(maps.Keys(trackerLabels)), "|") + `)\d*\.[^.]+\.`
}

// A query is unique to a visit if it is this long and has a run of letters and
// digits mixed, or of digits alone, this long.
const (
	uniqueQueryLength = 40
	uniqueRunLength   = 12
)

func isUnique(query []byte) bool {
	if len(query) < uniqueQueryLength {
		return false
	}
	run, digits := 0, 0
	for _, c := range query {
		switch {
		case '0' <= c && c <= '9':
			run++
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-':
			run++
		default:
			run, digits = 0, 0
		}
		if run >= uniqueRunLength && digits >= 4 {
			return true
		}
	}
	return false
}

// Heuristics returns the names of all heuristics: guesses about third-party
// URLs that no rule knows.
func Heuristics() []string {
	names := make([]string, len(heuristics))
	for i := range heuristics {
		names[i] = heuristics[i].name
	}
	return names
}

// setHeuristics enters all heuristics but those named.
func (e *Engine) setHeuristics(off []string) error {
	for _, name := range off {
		if !slices.Contains(Heuristics(), name) {
			return fmt.Errorf("no heuristic is called %q; there are %s", name, strings.Join(Heuristics(), ", "))
		}
	}
	for i := range heuristics {
		h := &heuristics[i]
		e.guesses[i] = verdict{category: consent.Marketing, rule: Rule{Source: SourceHeuristic, Text: SourceHeuristic + ":" + h.name}}
		e.guessing[i] = !slices.Contains(off, h.name)
	}
	return nil
}

// guess asks the heuristics about p's reference.
func (e *Engine) guess(p *Page, k Kind, s Sign, except without) *verdict {
	for i := range heuristics {
		if v := &e.guesses[i]; e.guessing[i] && heuristics[i].holds(&p.ref, k, s) && !except.has(&v.rule) {
			return v
		}
	}
	return nil
}
