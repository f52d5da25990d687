package rules

import (
	"bytes"
	"fmt"
	"maps"
	"math/bits"
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
	// style, are both at most 1 pixel, or one of them 0, unless min-width or
	// min-height is longer.
	Tiny Sign = 1 << iota
	// Hidden is an element that is not shown: the hidden attribute, or
	// display:none, visibility:hidden or opacity:0 in its own style.
	Hidden
	// Noscript is an element inside <noscript>.
	Noscript
)

// heuristic guesses about a third party's URL that no rule knows, of some kinds,
// where the element shows one of signs, if it names any.
type heuristic struct {
	name  string
	kinds []Kind
	signs Sign
	holds func(p *Page, k Kind, s Sign) bool
}

// counting are the kinds of which trackers are made.
var counting = []Kind{Script, Frame, Image}

// The heuristics, in the order in which they are asked. Each yields Marketing.
// guesses has the same as the guard reads it.
var heuristics = [...]heuristic{
	{"pixel", []Kind{Image}, Tiny | Hidden, func(p *Page, _ Kind, s Sign) bool { return s&Tiny != 0 || !isPicture(&p.ref) }},
	{"hidden-frame", []Kind{Frame}, Tiny | Hidden, func(p *Page, _ Kind, _ Sign) bool { return !isSignIn(p.ref.path()) }},
	{"noscript-image", []Kind{Image}, Noscript, func(p *Page, _ Kind, _ Sign) bool { return !isPicture(&p.ref) }},
	{"beacon", []Kind{Ping}, 0, always},
	{"gif-query", []Kind{Image}, 0, func(p *Page, _ Kind, _ Sign) bool {
		return isGIF(p.ref.path()) && isUnique(p.ref.query()) && !hasKey(p.ref.query(), &signatures)
	}},
	{"tracker-host", []Kind{Script, Frame, Image, Hint}, 0, func(p *Page, k Kind, _ Sign) bool {
		return !p.ref.ip && p.hasTrackerHost() && !seen(p, k)
	}},
	{"tracker-path", counting, 0, func(p *Page, k Kind, _ Sign) bool {
		return !(k == Image && len(p.ref.query()) == 0) && isTrackerPath(p.ref.path()) && !seen(p, k)
	}},
	{"tracker-query", counting, 0, func(p *Page, k Kind, _ Sign) bool {
		return hasKey(p.ref.query(), &trackerKeys) && !seen(p, k)
	}},
	{"banner", []Kind{Image}, 0, func(p *Page, _ Kind, _ Sign) bool { return isBanner(p.ref.path()) }},
	{"account-number", []Kind{Script, Image}, 0, func(p *Page, k Kind, s Sign) bool {
		if k == Script {
			return isNumber(p.ref.path(), "/js/", ".js") || isNumber(p.ref.path(), "/", ".js")
		}
		return s&(Hidden|Noscript) != 0 && isNumber(p.ref.path(), "/", ".png")
	}},
	{"hash-folders", []Kind{Script}, 0, func(p *Page, _ Kind, _ Sign) bool { return isInHashFolders(p.ref.path()) }},
	{"site-named", []Kind{Script}, 0, func(p *Page, _ Kind, _ Sign) bool { return isNamedAfter(p.site, p.ref.path()) }},
}

func always(*Page, Kind, Sign) bool { return true }

// seen reports whether something is there to be seen, whatever it is called.
func seen(p *Page, k Kind) bool { return k == Image && isPicture(&p.ref) }

var (
	pictures = [...]string{".jpg", ".jpeg", ".png", ".webp", ".avif", ".svg"}
	// folders are what a path has that leads to pictures without an ending; c_ and
	// w_ tell a service how to crop and scale one.
	folders = [...]string{"/media", "/image", "/img", "/photo", "/avatar", "/upload", "/thumb", "/crop", "/resize", "/c_", "/w_"}
	// loaders are what pictures are called that show that something is to come,
	// and are hidden until then.
	loaders = newParts("loading", "loader", "spinner")
	// signatures are the keys by which stores of files are shown that a picture may
	// be had for a while.
	signatures = newWords("signature", "x-amz-signature", "x-goog-signature")
	// signIns are folders and files at which sites ask, in a frame that is not
	// shown, whether a visitor has signed in elsewhere.
	signIns = newWords("login", "signin", "sso", "oauth", "oauth2", "authorize", "saml", "saml2", "sessions")
	// sizes are the keys by which services that scale pictures are told how.
	sizes = newWords("w", "h", "width", "height", "size", "resize", "fit", "crop", "quality", "q", "format", "fm", "mw", "mh")
)

func isGIF(path []byte) bool {
	n := len(path) - len(".gif")
	return n >= 0 && equalFold(path[n:], ".gif")
}

// isPicture reports whether an image is there to be seen, as pages that load
// their pictures late repeat them inside <noscript> and hide them: its path has
// the ending of one or a folder of them, or its query says how to scale it; a
// GIF, which is what pixels are, only where it is called a loader.
func isPicture(a *address) bool {
	path := a.path()
	if isGIF(path) {
		return len(a.query()) == 0 && loaders.in(path[bytes.LastIndexByte(path, '/')+1:])
	}
	for i, c := range path {
		if c == '.' && startsFold(path[i:], pictures[:]) || c == '/' && startsFold(path[i:], folders[:]) {
			return true
		}
	}
	return hasKey(a.query(), &sizes)
}

// isSignIn reports whether a path has one of signIns between slashes.
func isSignIn(path []byte) bool {
	for segment := range bytes.SplitSeq(path, []byte("/")) {
		if signIns.has(segment) {
			return true
		}
	}
	return false
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

var (
	// trackerLabels are what hosts that count visitors or serve ads are called
	// by those who run them, a number at the end left out; bareLabels are without
	// one alone: t1 and stat2 serve files.
	bareLabels    = newWords("stat", "t")
	trackerLabels = newWords(
		"ad", "ads", "adv", "adx", "banner", "banners", "beacon", "beacons", "collector", "count", "euob", "hits", "jsc", "matomo", "ob",
		"obs", "obseu", "openx", "piwik", "pixel", "pixels", "plausible", "posthog", "prebid", "publisher", "rtb", "rtg", "sc", "sgtm", "ssgtm",
		"ssp", "stats", "sync", "tag", "tags", "telemetry", "track", "trck", "trk", "umami", "usersync")
	// trackerParts are what is in their names, wherever it stands.
	trackerParts = newParts("advert", "affili", "analytic", "counter", "cpm", "metrics", "push", "tracker", "tracking")
	// trackerWords are what their paths have between "/", ".", "-" and "_".
	trackerWords = newWords(
		"adframe", "adserve", "adserver", "adservice", "adservices", "adtag", "adtags", "adv", "advert", "adverts", "adx", "affiliates",
		"analytics", "beacon", "beacons", "counter", "hb", "impression", "pagead", "pbjs", "pixel", "pixels", "placement", "prebid",
		"publisher", "retarget", "retargeting", "rtb", "ssp", "sync", "tag", "tags", "telemetry", "track", "tracker", "tracking", "usersync", "vast")
	// adSizes are the sizes of ads that the IAB has given names, in pixels.
	adSizes = newWords("728x90", "300x250", "160x600", "468x60", "120x600", "336x280", "970x250", "970x90", "300x600", "234x60", "320x50", "320x100")
	// photoSizes are those of them that photos are scaled to as well.
	photoSizes = newWords("300x250", "300x600")
	// trackerKeys are of queries: a consent string by the IAB's macros, whose ad
	// it is and where, whose visit, and a number against caches.
	trackerKeys = newWords(
		"gdpr", "gdpr_consent", "us_privacy", "gpp", "gpp_sid", "addtl_consent",
		"account_id", "accountid", "ad_id", "adid", "adslot", "adunit", "ad_unit", "advertiser_id", "advertiserid", "aff_id", "affid", "affiliate_id",
		"bid", "campaign_id", "campaignid", "idsite", "pid", "placement", "placement_id", "placementid", "pub", "pub_id", "pub_key", "pubid",
		"publisher_id", "publisherid", "siteid", "tag_id", "tagid", "zone_id", "zoneid",
		"click_id", "clickid", "ref", "referer", "referrer", "uid", "visitor_id",
		"cachebuster", "correlator", "ord", "rand", "random", "rnd")
)

// words is a set of words in lower case, looked up in any case. The lengths that
// words have by their first letters spare most look-ups.
type words struct {
	lengths [128]uint32
	set     map[string]bool
}

func newWords(list ...string) words {
	w := words{set: make(map[string]bool, len(list))}
	for _, word := range list {
		w.add(word)
	}
	return w
}

func (w *words) add(word string) {
	w.lengths[word[0]] |= 1 << len(word)
	w.set[word] = true
}

func (w *words) has(s []byte) bool {
	if len(s) == 0 || len(s) > 31 || w.lengths[(s[0]|0x20)&0x7f]>>len(s)&1 == 0 {
		return false
	}
	var buf [31]byte
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return w.set[string(buf[:len(s)])]
}

// parts is a list of words in lower case that are looked for wherever they stand.
// The pairs of letters that they start with spare most comparisons.
type parts struct {
	starts [32]uint32
	words  []string
}

func newParts(list ...string) parts {
	p := parts{words: list}
	for _, word := range list {
		p.starts[word[0]&31] |= 1 << (word[1] & 31)
	}
	return p
}

// in reports whether s has one of the words, in any case.
func (p *parts) in(s []byte) bool {
	for i := 1; i < len(s); i++ {
		if p.starts[s[i-1]&31]>>(s[i]&31)&1 != 0 && startsFold(s[i-1:], p.words) {
			return true
		}
	}
	return false
}

// expression writes the words as alternatives of a regular expression.
func (w *words) expression() string {
	return "(?:" + strings.Join(slices.Sorted(maps.Keys(w.set)), "|") + ")"
}

// withoutNumber returns a word without the digits that it ends in.
func withoutNumber(s []byte) []byte {
	for len(s) > 0 && s[len(s)-1] <= '9' && s[len(s)-1] >= '0' {
		s = s[:len(s)-1]
	}
	return s
}

// hasTrackerHost is isTrackerHost for the reference's host, which is asked once for
// all references to it that follow one another.
func (p *Page) hasTrackerHost() bool {
	if p.labels.tracks == 0 {
		p.labels.tracks = -1
		if isTrackerHost(p.ref.host(), &p.labels) {
			p.labels.tracks = 1
		}
	}
	return p.labels.tracks > 0
}

// isTrackerHost reports whether a label of the host before its last two is one
// of trackerLabels or bareLabels, or one before its last has one of trackerParts or
// is an ad network's.
func isTrackerHost(host []byte, l *labels) bool {
	for i := 1; i < l.n; i++ {
		label := host[l.starts[i] : l.starts[i-1]-1]
		if i > 1 && (trackerLabels.has(withoutNumber(label)) || bareLabels.has(label)) || isAdNetwork(label) || trackerParts.in(label) {
			return true
		}
	}
	return false
}

// adLetters are those that follow "ad" in the names of ad networks (adzone,
// ad-feed) and seldom in other words (admin, adobe).
const adLetters = "bcfgnpqstwxz-"

// isAdNetwork reports whether a label is what ad networks call themselves: "ad"
// and one of adLetters at its start, or "ads" at its end, as downloads, leads and
// threads have not.
func isAdNetwork(label []byte) bool {
	n := len(label)
	if n < 5 {
		return false
	}
	before := label[n-4]
	return string(label[:2]) == "ad" && strings.IndexByte(adLetters, label[2]) >= 0 ||
		string(label[n-3:]) == "ads" && before != 'e' && before != 'o'
}

// isTrackerPath reports whether the path has one of trackerWords, a number at
// its end left out, or one of adSizes; but for the name of a theme and for the
// pieces of a program that Next.js has cut, which are named by all that is in them.
func isTrackerPath(path []byte) bool {
	if !hasTrackerWord(path) || bytes.Contains(path, []byte("/_next/")) {
		return false
	}
	if _, theme, ok := bytes.Cut(path, []byte("/themes/")); ok {
		if n := bytes.IndexByte(theme, '/'); n >= 0 {
			return hasTrackerWord(theme[n:])
		}
	}
	return true
}

func hasTrackerWord(path []byte) bool {
	start := len(path)
	for i, c := range path {
		if !separates(c) {
			continue
		}
		if start < i && isTrackerWord(path[start:i]) {
			return true
		}
		start = i + 1
	}
	return start < len(path) && isTrackerWord(path[start:])
}

func isTrackerWord(s []byte) bool {
	return trackerWords.has(withoutNumber(s)) || adSizes.has(s)
}

// isBanner reports whether the path of a picture has a folder "ads" or one of
// adSizes; after a "-" those of photoSizes are not taken for it, which is how
// WordPress names photos that it has scaled, and none that the name of a folder
// ends in, where sites keep what they have scaled.
func isBanner(path []byte) bool { return inAds(path) || hasSize(path, 'x') || hasSize(path, 'X') }

// inAds reports whether a path has a folder "ads". Most have no two slashes that are
// as far apart, which is told from eight bytes at a time.
func inAds(path []byte) bool {
	const folder = len("/ads/")
	slashes := zeroes(runAt(path, max(0, len(path)-8)) ^ '/'*ones)
	found := slashes & (slashes >> 32)
	for i := 0; i+8 < len(path); i += 4 {
		slashes = zeroes(runAt(path, i) ^ '/'*ones)
		found |= slashes & (slashes >> 32)
	}
	if found&(ones<<7) == 0 {
		return false
	}
	for ; len(path) >= folder; path = path[1:] {
		if path[0] == '/' && path[folder-1] == '/' && equalFold(path[1:folder-1], "ads") {
			return true
		}
	}
	return false
}

// hasSize reports whether a path has one of adSizes, written with the given x.
func hasSize(path []byte, x byte) bool {
	for end := 0; ; {
		n := bytes.IndexByte(path[end:], x)
		if n < 0 {
			return false
		}
		start := end + n
		for end = start + 1; end < len(path) && isDigit(path[end]); {
			end++
		}
		for start > 0 && isDigit(path[start-1]) {
			start--
		}
		size := path[start:end]
		if start == 0 || !separates(path[start-1]) || end < len(path) && (path[end] == '/' || !separates(path[end])) {
			continue
		}
		if adSizes.has(size) && (path[start-1] == '/' || path[start-1] == '_' || !photoSizes.has(size)) {
			return true
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// separates reports whether a byte stands between the words of a path.
func separates(c byte) bool { return c == '/' || c == '.' || c == '-' || c == '_' }

// isNumber reports whether a path has nothing but a number of 4 to 8 digits
// between folder and ending: the script and the pixel of services that name who
// visits, whose hosts change by the customer.
func isNumber(path []byte, folder, ending string) bool {
	n := len(path) - len(folder) - len(ending)
	if n < 4 || n > 8 || !equalFold(path[:len(folder)], folder) || !equalFold(path[len(folder)+n:], ending) {
		return false
	}
	for _, c := range path[len(folder):][:n] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isInHashFolders reports whether a path is a script's that is called by a hash of 32
// hexadecimal digits and lies in folders called by the first six of them, two each:
// that of ads which open windows, whose hosts change by the week.
func isInHashFolders(path []byte) bool {
	const folders = len("/57/e4/4f/")
	if len(path) != folders+32+len(".js") || !equalFold(path[folders+32:], ".js") {
		return false
	}
	hash := path[folders:][:32]
	for _, c := range hash {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
			return false
		}
	}
	for i := range 3 {
		if folder := path[3*i:]; folder[0] != '/' || folder[1]|0x20 != hash[2*i]|0x20 || folder[2]|0x20 != hash[2*i+1]|0x20 {
			return false
		}
	}
	return path[folders-1] == '/'
}

// isNamedAfter reports whether the file of a script or the folder it lies in is
// called by the domain of the site whose page it is in ("/c/shop.example.1.js",
// "/keys/shop.example/p.js"): what a service that serves many sites makes for each of
// them.
func isNamedAfter(site, path []byte) bool {
	n := len(path) - len(".js")
	if n < 0 || len(site) == 0 || !equalFold(path[n:], ".js") {
		return false
	}
	path = path[:n]
	file := bytes.LastIndexByte(path, '/')
	folder := bytes.LastIndexByte(path[:max(file, 0)], '/')
	for i := max(folder, 0); i+len(site) < n; i++ {
		if path[i] != '/' && path[i] != '.' && path[i] != '_' || !bytes.EqualFold(path[i+1:][:len(site)], site) {
			continue
		}
		if end := i + 1 + len(site); end == n || path[end] == '/' || i >= file && (path[end] == '.' || path[end] == '-' || path[end] == '_') {
			return true
		}
	}
	return false
}

// hasKey reports whether a query has a key of a set, with a "=" behind it.
func hasKey(query []byte, keys *words) bool {
	for start := 0; start < len(query); {
		end := start
		for end < len(query) && query[end] != '=' && query[end] != '&' {
			end++
		}
		if end < len(query) && query[end] == '=' {
			if keys.has(query[start:end]) {
				return true
			}
			n := bytes.IndexByte(query[end:], '&')
			if n < 0 {
				return false
			}
			end += n
		}
		start = end + 1
	}
	return false
}

// guesses returns the heuristics as regular expressions (ECMAScript, in any
// case), by name. Each is held against the page's site and sign, kind and address
// of a reference of a third party: "shop.example hiddenimage x.example/a.gif?b".
// What stands inside <noscript> the guard does not see.
func guesses() map[string]string {
	quoted := make([]string, len(pictures))
	for i, ending := range pictures {
		quoted[i] = regexp.QuoteMeta(ending)
	}
	picture := ` [^/]*(?=/)(?:[^?]*(?:` + strings.Join(loaders.words, "|") + `)[^/?]*\.gif\??$|(?![^?]*\.gif(?:\?|$))(?:[^?]*(?:` + strings.Join(quoted, "|") + "|" + strings.Join(folders[:], "|") + `)|.*[?&]` + sizes.expression() + "=))"
	counts := func(image string) string { return `\w*(?:script|frame|image(?!` + picture + ")" + image + ")" }
	run := fmt.Sprintf(`(?=[\da-z-]{%d})[a-z-]*(?:\d[a-z-]*){%d}`, uniqueRunLength, uniqueDigits)
	expressions := map[string]string{
		"pixel":          "(?:tinyimage|hiddenimage(?!" + picture + "))",
		"hidden-frame":   `(?:tiny|hidden)frame(?! [^/]*(?=/)[^?]*/` + signIns.expression() + `(?:[/?]|$))`,
		"beacon":         `\w*ping`,
		"gif-query":      fmt.Sprintf(`\w*image [^?]*\.gif\?(?!(?:.*&)?%s=)(?=.{%d})(?:.*[^\da-z-])?`, signatures.expression(), uniqueQueryLength) + run,
		"tracker-host":   `(?:\w*hint|` + counts("") + `) (?:[^/]*\.)?(?:(?:` + bareLabels.expression() + "|" + trackerLabels.expression() + `\d*)\.[^./]+\.[^./]|[^./]+[^./eo]ads\.|(?:ad[` + adLetters + `][^./]{2}|[^./]*(?:` + strings.Join(trackerParts.words, "|") + `))[^./]*\.)`,
		"tracker-path":   counts(`(?= [^?]*\?.)`) + ` [^/]*(?=/)(?![^?]*/_next/)(?:[^?]*/themes/[^/?]*(?=/)|(?![^?]*/themes/[^/?]*/))[^?]*[/._-](?:` + trackerWords.expression() + `\d*|` + adSizes.expression() + `)(?:[/._?-]|$)`,
		"tracker-query":  counts("") + ` [^?]*\?(?:.*&)?` + trackerKeys.expression() + "=",
		"banner":         `\w*image [^/]*(?=/)[^?]*(?:/ads/|(?:[/_]` + adSizes.expression() + `|[.-](?!` + photoSizes.expression() + ")" + adSizes.expression() + `)(?:[._?-]|$))`,
		"account-number": `(?:\w*script [^/]*/(?:js/)?\d{4,8}\.js|hiddenimage [^/]*/\d{4,8}\.png)(?:\?|$)`,
		"hash-folders":   `\w*script [^/]*/([\da-f]{2})/([\da-f]{2})/([\da-f]{2})/\2\3\4[\da-f]{26}\.js(?:\?|$)`,
		"site-named":     `\w*script [^/]*(?=/)[^?]*[/._](?=[a-z\d])\1(?:[/._-][^/?]*)?\.js(?:\?|$)`,
	}
	for name, e := range expressions {
		expressions[name] = `^(\S*) ` + e
	}
	return expressions
}

// A query is unique to a visit if it is this long and has a run of letters and
// digits mixed, or of digits alone, this long.
const (
	uniqueQueryLength = 40
	uniqueRunLength   = 12
	uniqueDigits      = 4
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
		if run >= uniqueRunLength && digits >= uniqueDigits {
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
		if slices.Contains(off, h.name) {
			continue
		}
		for _, k := range h.kinds {
			e.guessing[k] |= 1 << i
		}
	}
	return nil
}

// guess asks the heuristics about p's reference.
func (e *Engine) guess(p *Page, k Kind, s Sign, except without) *verdict {
	for on := e.guessing[k]; on != 0; on &= on - 1 {
		i := bits.TrailingZeros16(on)
		h, v := &heuristics[i], &e.guesses[i]
		if (h.signs == 0 || s&h.signs != 0) && h.holds(p, k, s) && !except.has(&v.rule) {
			return v
		}
	}
	return nil
}
