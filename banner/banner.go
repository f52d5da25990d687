package banner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// DefaultPrefix is where the own endpoints are unless the site says otherwise.
const DefaultPrefix = "/_askfirst/"

// Layouts are what Options.Layout may say.
var Layouts = [3]string{"bar", "box", "centre"}

// Clearable is what Options.Clear may say. Cookies are taken back one by one:
// the choice is one too.
var Clearable = [2]string{"storage", "cache"}

// Options say how one site asks. The zero Options ask for every category in a
// bar at the bottom.
type Options struct {
	// Site is the site's configured name, as receipts and counts carry it.
	Site string
	// Title is what visitors read as the site's name. Empty for the host that
	// they are on.
	Title string
	// Prefix is where the own endpoints are: a path that begins and ends
	// with a slash. Empty for DefaultPrefix.
	Prefix string
	// Revision is that of the site's policy, from 1. Zero is taken as 1.
	Revision uint32
	// PolicyURL is where the site's privacy policy stands. Empty for none.
	PolicyURL string
	// Language is asked in where neither page nor browser says one that there
	// are texts in. Empty for English.
	Language string
	// Texts replace embedded texts, by language and key.
	Texts map[string]map[string]string
	// Theme sets CSS custom properties, named with or without --askfirst-:
	// accent, ink, paper, radius and font, and accent-dark, ink-dark and
	// paper-dark for dark mode.
	Theme map[string]string
	// Layout is bar, box or centre. Empty for bar.
	Layout string
	// Logo is the path of a picture on the site that the banner shows above its
	// title. Empty for none.
	Logo string
	// Categories are those asked about. Empty for all that can be.
	Categories []consent.Category
	// CookieDomain shares the choice between hosts. Empty for the page's own.
	CookieDomain string
	// CookieMaxAge is how long a choice stands, in whole seconds, at most
	// consent.MaxMaxAge. Zero for consent.DefaultMaxAge.
	CookieMaxAge time.Duration
	// Anew has the page loaded anew for every choice, instead of releasing in
	// place what was agreed to.
	Anew bool
	// Clear is what else the browser forgets of the site when something is
	// withdrawn: storage, cache (Clear-Site-Data). It heeds that over https.
	Clear []string
	// Unclassified is pass or hold: what becomes of third parties that no
	// rule knows. Empty for pass.
	Unclassified string
	// Transfers are the operator's statements on what data go to vendors outside
	// the European Economic Area, by vendor: dpf or scc.
	Transfers map[string]string
	// Signals are how other software is told of choices.
	Signals Signals
	// Uniform says that one page is made for all, so that a visitor who chooses
	// without a script is told apart by OwnCookie.
	Uniform bool
	// SecondLock says that pages come with a policy that names whom they may
	// contact, so that no more can be let in without loading them anew.
	SecondLock bool
	// Log takes what goes wrong. Nil for slog.Default.
	Log *slog.Logger
}

// Records keeps the receipts. Receipt and Erase return an error that is
// fs.ErrNotExist where there is none of that ID.
type Records interface {
	// Record returns when the receipt and its text are durable.
	Record(ctx context.Context, r *consent.Receipt) error
	Receipt(ctx context.Context, id consent.ID) (*consent.Receipt, error)
	Erase(ctx context.Context, id consent.ID) error
}

// Observer learns what pages report, and tells what was seen on a site.
type Observer interface {
	Report(site string, r *Report)
	// Seen returns the IDs of the vendors that were really seen, and third-party
	// hosts in pages that no rule knew then.
	Seen(site string) (vendors, unclassified []string)
	// Since returns when the last category of vendors appeared that the site
	// had used none of before; zero where nothing was seen.
	Since(site string) time.Time
}

// View is what a page's markup depends on.
type View struct {
	Standing consent.Standing
	// Host is the page's host, with or without port.
	Host []byte
	// Return is the page's path and query.
	Return []byte
	// Origin is that of the page, where a <base> may lead paths to another one.
	// Empty where none does.
	Origin []byte
	// AcceptLanguage is the request's field.
	AcceptLanguage []byte
	// Nonce is that of the page's Content-Security-Policy. Empty for none.
	Nonce []byte
	// GPP is the section of the GPP that is in force, empty for none.
	GPP string
	// Integrity says that the page's policy names the guard by GuardHash, so
	// that its element must carry the hash too.
	Integrity bool
	// Locked says that the page's policy refuses whom the visitor has not
	// agreed to, so that a choice that agrees to more loads the page anew.
	Locked bool
	// Once is the vendor that the visitor lets in on this page alone. Nil for
	// none.
	Once *rules.Vendor
	// Since is from when on a choice must be to stand, in Unix seconds. Zero
	// for any time.
	Since int64
}

// ticked reports whether the box of a category is ticked: where a choice
// stands, by the choice; without one, only under a regime in which the category
// is in force already. Under opt-in nothing is ticked before the visitor does.
func (v *View) ticked(c consent.Category) bool {
	return (v.Standing.Made || v.Standing.Regime != consent.OptIn) && v.Standing.Granted.Has(c)
}

// Banner asks on behalf of one site. It is immutable but for what it has
// rendered, and safe for concurrent use.
type Banner struct {
	o           Options
	engine      *rules.Engine
	records     Records
	observer    Observer
	log         *slog.Logger
	languages   *languages
	offered     consent.Set
	assets      assets
	asks        *forest[askKey]
	boxes       *forest[boxKey]
	askCSS      string
	boxCSS      string
	pageCSS     string
	edition     string
	lastSite    atomic.Pointer[hostSite]
	reportLimit limiter
	choiceLimit limiter
	flooded     atomic.Int64 // the minute in which a flood of choices was last logged
	hosts       hosts
	counters    counters
}

// New makes the Banner of a site. Its error joins every mistake in o.
func New(o Options, e *rules.Engine, records Records, observer Observer) (*Banner, error) {
	err := o.complete()
	l, textErr := newLanguages(o.Language, o.Texts)
	theme, themeErr := themeCSS(o.Theme)
	if err := errors.Join(err, textErr, themeErr); err != nil {
		return nil, err
	}
	b := &Banner{o: o, engine: e, records: records, observer: observer, log: o.Log, languages: l, offered: consent.SetOf(o.Categories...)}
	b.assets = newAssets(o.Prefix, e, &o.Signals)
	b.askCSS = compact(styles("tokens", "text", "ask", "layout-"+o.Layout)) + theme
	b.boxCSS = compact(styles("tokens", "box")) + theme
	b.pageCSS = compact(styles("tokens", "text", "page")) + theme
	b.edition = b.editionOf()
	b.asks = newForest(b.renderAsk)
	b.boxes = newForest(b.renderBox)
	b.reportLimit.burst, b.reportLimit.perSecond = reportBurst, reportsPerSecond
	b.choiceLimit.burst, b.choiceLimit.perSecond = choiceBurst, choicesPerSecond
	return b, nil
}

// complete sets what was left to defaults and refuses what cannot be.
func (o *Options) complete() error {
	var errs []error
	refuse := func(format string, a ...any) { errs = append(errs, fmt.Errorf("banner: "+format, a...)) }
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if len(o.Prefix) < 3 || o.Prefix[0] != '/' || o.Prefix[len(o.Prefix)-1] != '/' || strings.Contains(o.Prefix, "//") ||
		strings.ContainsFunc(o.Prefix, func(r rune) bool { return !isPrefixRune(r) }) {
		refuse("prefix %q: want a path that begins and ends with a slash, of letters, digits, - . _ ~", o.Prefix)
	}
	if o.Revision == 0 {
		o.Revision = 1
	}
	if o.PolicyURL != "" {
		u, err := url.Parse(o.PolicyURL)
		if err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
			refuse("policy address %q: want http, https or a path", o.PolicyURL)
		}
	}
	if o.Logo != "" && !isPath(o.Logo) {
		refuse("logo %q: want a path on the site", o.Logo)
	}
	if o.Layout == "" {
		o.Layout = Layouts[0]
	}
	if !slices.Contains(Layouts[:], o.Layout) {
		refuse("layout %q: want bar, box or centre", o.Layout)
	}
	if len(o.Categories) == 0 {
		o.Categories = consent.Optional[:]
	}
	for _, c := range o.Categories {
		if !slices.Contains(consent.Optional[:], c) {
			refuse("category %q cannot be asked about", c)
		}
	}
	if o.CookieMaxAge == 0 {
		o.CookieMaxAge = consent.DefaultMaxAge
	}
	if o.CookieMaxAge < time.Second || o.CookieMaxAge > consent.MaxMaxAge {
		refuse("cookie age %v: want one second to %v", o.CookieMaxAge, consent.MaxMaxAge)
	}
	if strings.ContainsFunc(o.CookieDomain, func(r rune) bool { return !isHostRune(r) }) {
		refuse("cookie domain %q: want a domain in ASCII", o.CookieDomain)
	}
	for _, c := range o.Clear {
		if !slices.Contains(Clearable[:], c) {
			refuse("clear %q: want storage or cache", c)
		}
	}
	if o.Unclassified == "" {
		o.Unclassified = "pass"
	}
	if o.Unclassified != "pass" && o.Unclassified != "hold" {
		refuse("unclassified %q: want pass or hold", o.Unclassified)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return errors.Join(errs...)
}

func isHostRune(r rune) bool {
	return r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// isPath reports whether s is the path of something on the site's own host.
func isPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e || strangeInURL(byte(r)) })
}

func isPrefixRune(r rune) bool { return isHostRune(r) || r == '/' || r == '_' || r == '~' }

// Language returns the tag of the language that a page of the given <html lang>
// is asked in. What goes into a page depends on a request's Accept-Language by
// this alone.
func (b *Banner) Language(lang, accept []byte) string {
	return b.languages.list[b.languages.choose(lang, accept)].tag
}

// AppendHead appends what goes first into <head>: the guard's element.
func (b *Banner) AppendHead(dst []byte, v *View, lang []byte) []byte {
	dst = append(dst, `<script src="`...)
	dst = append(dst, b.assets.guard.url...)
	dst = append(dst, `" data-askfirst-guard data-granted="`...)
	dst, _ = v.Standing.Granted.AppendText(dst)
	dst = append(dst, `" data-made="`...)
	if v.Standing.Made {
		dst = append(dst, '1')
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, `" data-regime="`...)
	dst = append(dst, v.Standing.Regime.String()...)
	if v.Standing.Child {
		dst = append(dst, `" data-audience="child`...)
	}
	if v.GPP != "" {
		dst = append(dst, `" data-gpp="`...)
		dst = append(dst, v.GPP...)
	}
	dst = append(dst, `" data-unclassified="`...)
	dst = append(dst, b.o.Unclassified...)
	dst = append(dst, `" data-revision="`...)
	dst = strconv.AppendUint(dst, uint64(b.o.Revision), 10)
	dst = append(dst, `" data-site="`...)
	dst = appendEscaped(dst, b.site(v.Host))
	dst = append(dst, '"')
	if v.Since > 0 {
		dst = append(dst, ` data-since="`...)
		dst = strconv.AppendInt(dst, v.Since, 10)
		dst = append(dst, '"')
	}
	if v.Locked {
		dst = append(dst, " data-locked"...)
	}
	if v.Once != nil {
		dst = append(dst, ` data-once="`...)
		dst = appendEscaped(dst, v.Once.ID)
		dst = append(dst, '"')
	}
	if b.o.Anew {
		dst = append(dst, " data-anew"...)
	}
	if v.Integrity {
		dst = append(dst, ` integrity="`...)
		dst = append(dst, b.assets.guard.integrity...)
		dst = append(dst, '"')
	}
	dst = appendNonce(dst, v.Nonce)
	return append(dst, "></script>"...)
}

// AppendFoot appends what goes before </body>: the banner while no choice
// stands, the reopen control afterwards, nothing for a child.
func (b *Banner) AppendFoot(dst []byte, v *View, lang []byte) []byte {
	if v.Standing.Child {
		return dst
	}
	k := askKey{language: b.languages.choose(lang, v.AcceptLanguage), made: v.Standing.Made, regime: v.Standing.Regime, signal: v.Standing.Objection}
	return b.appendTree(dst, b.asks.get(k), v, nil)
}

// Languages returns the BCP 47 tags of the languages that visitors are asked in.
func (b *Banner) Languages() []string {
	tags := make([]string, len(b.languages.list))
	for i, l := range b.languages.list {
		tags[i] = l.tag
	}
	return tags
}

// AppendPreview appends what AppendFoot does for a visitor of that language and
// standing, on a page of the site that they could be on.
func (b *Banner) AppendPreview(dst []byte, language string, s consent.Standing, nonce string) []byte {
	v := &View{Standing: s, Host: []byte(b.o.Title), Return: []byte("/"), Nonce: []byte(nonce)}
	return b.AppendFoot(dst, v, []byte(language))
}

// GuardURL returns the guard's path, which holds a hash of its bytes.
func (b *Banner) GuardURL() string { return b.assets.guard.url }

// BoxesURL returns the path of the script that the guard asks for when it holds
// something: the guard's own but for its first word.
func (b *Banner) BoxesURL() string {
	return b.o.Prefix + "boxes" + strings.TrimPrefix(b.assets.guard.url, b.o.Prefix+"guard")
}

// GuardHash returns the guard's integrity value, sha384-…
func (b *Banner) GuardHash() string { return b.assets.guard.integrity }

// StyleHashes returns CSP source expressions of every <style> that goes into
// pages.
func (b *Banner) StyleHashes() []string {
	return []string{styleHash(b.askCSS), styleHash(scrollCSS), styleHash(b.boxCSS)}
}

// Owns reports whether a request path is one of the own endpoints.
func (b *Banner) Owns(path []byte) bool {
	return len(path) >= len(b.o.Prefix) && string(path[:len(b.o.Prefix)]) == b.o.Prefix || string(path) == gpcPath
}

// hostSite is a page's host and what the guard takes for its own site there.
type hostSite struct{ host, site string }

// site returns what the guard takes for its own site: the registrable domain of
// a host, or the host without its port where there is none. The host seen last
// is kept: most sites have one, and the public suffix list allocates.
func (b *Banner) site(host []byte) string {
	if last := b.lastSite.Load(); last != nil && last.host == string(host) {
		return last.site
	}
	name := withoutPort(string(host))
	site := registrable(name)
	if site == "" {
		site = name
	}
	b.lastSite.Store(&hostSite{string(host), site})
	return site
}

// registrable returns the registrable domain of a host without port; empty for
// addresses, single names and public suffixes.
func registrable(host string) string {
	suffix, _ := publicsuffix.PublicSuffix(host)
	rest := len(host) - len(suffix) - 1
	if rest <= 0 {
		return ""
	}
	return host[strings.LastIndexByte(host[:rest], '.')+1:]
}

func withoutPort(host string) string {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i]
		case c < '0' || c > '9':
			return host
		}
	}
	return host
}
