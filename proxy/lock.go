package proxy

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// lock is a site's second lock: a Content-Security-Policy that lists whom a page
// may contact under a choice, so that the browser itself refuses what neither
// the rewriter nor the guard could hold: import(), what some workers ask for, the
// realm of a frame that was reached by its index.
//
// It is a second policy, which only tightens (CSP 3, section 8.1), and names no
// more than hosts: inline code, eval, data: and blob: are the site's own affair.
//
// A policy can say whom a page may contact, not whom it may not. So it is
// enforced where third parties that no rule knows are held, and only reports
// (Content-Security-Policy-Report-Only) where they pass: there nothing is
// refused, and what fired though nobody agreed to it shows in the audit.
//
// Whom a page may contact is more than a header can hold: the catalogue knows
// thousands of domains. The policy names those that this site was seen to use: by
// its pages, which are read before their policy is written, and by what the guard
// reports to have held, before a choice is told. A vendor that only a tag which
// was agreed to brings along may not have been seen by then. Where there is room
// the policy names the usual ones; of another the first request ever made on the
// site is refused and reported, and from the next page on it is named, for all
// visitors. With marketing agreed to, unclassified third parties pass and nothing
// is refused.
type lock struct {
	engine    *rules.Engine
	overrides []rules.Override
	report    string // directive that says where violations are reported to

	mu  sync.Mutex
	met atomic.Pointer[met]
}

// maxLock bounds the length of what a policy lists, in bytes: proxies in front
// may give a whole head no more than a memory page.
const maxLock = 2 << 10

// maxMet bounds the hosts that a lock remembers.
const maxMet = 512

// met is what a lock has learned. It never changes: learning makes another.
type met struct {
	hosts    map[string]rules.Decision
	order    []string // of hosts
	vendors  []*rules.Vendor
	told     []*rules.Vendor                                         // those that only reports name, which may come from anybody
	policies [1 << (consent.Unclassified + 1)]atomic.Pointer[string] // by what is granted
}

// foremost are vendors that pages call late and cannot do without, so that they
// are named before they have been met: payments and security checks.
var foremost = []string{"stripe", "paypal", "klarna", "adyen", "mollie", "braintree", "amazon-pay", "hcaptcha", "cloudflare-turnstile", "friendly-captcha", "recaptcha"}

// usual are vendors that tag managers and other tags bring along most, of the
// categories under which a lock may refuse.
var usual = []string{
	"google-analytics", "hotjar", "microsoft-clarity", "contentsquare", "new-relic", "segment", "mixpanel", "amplitude", "fullstory", "matomo", "adobe-analytics", "heap",
	"intercom", "typeform", "calendly", "hubspot-chat", "zendesk-chat",
	"facebook-sdk", "x-timeline", "instagram", "linkedin-widgets", "pinterest-widgets", "disqus", "sharethis",
}

// newLock returns the second lock of a site, nil where it has none. seen are the
// IDs of the vendors that it was seen to use.
func newLock(c *configs.Site, e *rules.Engine, seen []string) *lock {
	if !c.SecondLock {
		return nil
	}
	l := &lock{engine: e, overrides: c.Overrides, report: "; report-uri " + c.Prefix + "csp"}
	l.met.Store(new(met))
	for _, id := range seen {
		l.meet("", rules.Decision{Vendor: e.Vendor(id)}, false)
	}
	return l
}

// learn takes in whom a page refers to.
func (l *lock) learn(tags []Sighting) {
	if l == nil {
		return
	}
	for i := range tags {
		t := &tags[i]
		if t.Decision.Party != rules.ThirdParty || t.Decision.Never {
			continue
		}
		known := l.met.Load()
		if known.takes(t.Host) || t.Decision.Vendor != nil && !slices.Contains(known.vendors, t.Decision.Vendor) {
			l.meet(string(t.Host), t.Decision, false)
		}
	}
}

// learnVendor takes in a vendor that a page reported.
func (l *lock) learnVendor(v *rules.Vendor) {
	if l == nil {
		return
	}
	if known := l.met.Load(); !slices.Contains(known.vendors, v) && !slices.Contains(known.told, v) {
		l.meet("", rules.Decision{Vendor: v}, true)
	}
}

// meet remembers a host, if there is one, and the vendor of a decision about it.
// told says that a report alone names it.
func (l *lock) meet(host string, d rules.Decision, told bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.met.Load()
	next := &met{hosts: make(map[string]rules.Decision, len(known.hosts)+1), order: known.order, vendors: known.vendors, told: known.told}
	maps.Copy(next.hosts, known.hosts)
	if known.takes([]byte(host)) {
		next.hosts[host] = d
		next.order = append(slices.Clip(next.order), host)
	}
	switch {
	case d.Vendor == nil:
	case told:
		if !slices.Contains(next.told, d.Vendor) {
			next.told = append(slices.Clip(next.told), d.Vendor)
		}
	case !slices.Contains(next.vendors, d.Vendor):
		next.vendors = append(slices.Clip(next.vendors), d.Vendor)
	}
	l.met.Store(next)
}

// takes reports whether a host is to be remembered that is not yet.
func (m *met) takes(host []byte) bool {
	_, known := m.hosts[string(host)]
	return !known && len(m.hosts) < maxMet && isSource(host)
}

// isSource reports whether a host can stand in a policy as it is.
func isSource(host []byte) bool {
	return len(host) > 0 && !bytes.ContainsFunc(host, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// sources returns the source expressions of whom pages may contact under a
// choice, those first that the site was seen to use.
func (l *lock) sources(granted consent.Set) string {
	known := l.met.Load()
	slot := &known.policies[granted&consent.Set(len(known.policies)-1)]
	if text := slot.Load(); text != nil {
		return *text
	}
	var list sourceList
	for _, v := range known.vendors {
		if l.lets(v, granted) {
			list.vendor(v)
		}
	}
	for i := range l.overrides {
		if o := &l.overrides[i]; l.overridden(o).Allowed(granted) {
			list.domain(o.Domain, "")
			list.pattern(o.URL)
		}
	}
	for _, host := range known.order {
		if known.hosts[host].Allowed(granted) {
			list.host(host)
		}
	}
	name := func(ids []string) {
		for _, id := range ids {
			if v := l.engine.Vendor(id); v != nil && l.lets(v, granted) {
				list.vendor(v)
			}
		}
	}
	name(foremost)
	// A domain stands for http and https alone in Chromium, so that sockets
	// are named by themselves.
	for _, v := range known.vendors {
		if l.lets(v, granted) {
			list.sockets(v)
		}
	}
	// Reports come last but for a guess: nobody can crowd out by them what the
	// site's pages have.
	for _, v := range known.told {
		if l.lets(v, granted) {
			list.vendor(v)
			list.sockets(v)
		}
	}
	name(usual)
	text := list.text.String()
	slot.Store(&text)
	return text
}

// sourceList writes source expressions, each after a space, as far as there is
// room.
type sourceList struct {
	text    strings.Builder
	domains []string // that stand for whatever is below them
}

func (s *sourceList) vendor(v *rules.Vendor) {
	for _, domain := range v.Domains {
		s.domain(domain, "")
	}
	for _, text := range v.URLs {
		s.pattern(text)
	}
}

func (s *sourceList) pattern(text string) {
	if p, err := rules.ParsePattern(text); err == nil && p.NamesHost() {
		s.domain(p.Host, sourcePath(p.Path))
	}
}

// domain writes a domain and all below it, with any path or the one given.
func (s *sourceList) domain(domain, path string) {
	text := " " + domain + path + " *." + domain + path
	if domain == "" || s.covers(domain) || s.text.Len()+len(text) > maxLock {
		return
	}
	if path == "" {
		s.domains = append(s.domains, domain)
	}
	s.text.WriteString(text)
}

// host writes one host, at any port.
func (s *sourceList) host(host string) {
	if text := " " + host + ":*"; !s.covers(host) && s.text.Len()+len(text) <= maxLock {
		s.text.WriteString(text)
	}
}

func (s *sourceList) sockets(v *rules.Vendor) {
	for _, domain := range v.Domains {
		for _, text := range [...]string{" wss://*." + domain, " wss://" + domain} {
			if s.text.Len()+len(text) <= maxLock {
				s.text.WriteString(text)
			}
		}
	}
}

// covers reports whether a host is below what has been written.
func (s *sourceList) covers(host string) bool {
	return slices.ContainsFunc(s.domains, func(d string) bool {
		return strings.HasSuffix(host, d) && (len(host) == len(d) || host[len(host)-len(d)-1] == '.')
	})
}

// lets reports whether a vendor's tags may act under a choice, on some page at
// least.
func (l *lock) lets(v *rules.Vendor, granted consent.Set) bool {
	everywhere := false // an override speaks of the vendor on all pages
	for i := range l.overrides {
		o := &l.overrides[i]
		if o.Vendor != v.ID {
			continue
		}
		if l.overridden(o).Allowed(granted) {
			return true
		}
		everywhere = everywhere || o.Pages == ""
	}
	return !everywhere && rules.Decision{Vendor: v, Category: v.Category}.Allowed(granted)
}

// overridden returns what an override decides.
func (l *lock) overridden(o *rules.Override) rules.Decision {
	d := rules.Decision{Vendor: l.engine.Vendor(cmp.Or(o.As, o.Vendor)), Category: o.Category, Never: o.AlwaysHold}
	if d.Vendor != nil && d.Category == consent.Unclassified {
		d.Category = d.Vendor.Category
	}
	return d
}

// sourcePath returns the path of a source expression that lets all pass that a
// pattern's path matches: up to a slash, which makes it a prefix (CSP 3, section
// 6.7.2.9); empty for any path.
func sourcePath(pattern string) string {
	if exact, ok := strings.CutSuffix(pattern, "$"); ok && !strings.Contains(exact, "*") && isSourcePath(exact) {
		return exact
	}
	path, _, _ := strings.Cut(strings.TrimSuffix(pattern, "$"), "*")
	path = path[:strings.LastIndexByte(path, '/')+1]
	if path == "/" || !isSourcePath(path) {
		return ""
	}
	return path
}

// isSourcePath leaves out what would end a source expression or a header field.
func isSourcePath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ';' || r == ',' })
}

// enforced reports whether the lock of a page refuses: whether third parties
// that no rule knows are held under the choice that it is made for.
func (l *lock) enforced(granted consent.Set) bool {
	return l != nil && !granted.Has(consent.Unclassified)
}

// appendLock appends the second lock of a page. Where everything was agreed to
// there is nothing to lock.
func (x *exchange) appendLock(out []byte) []byte {
	l := x.site.lock
	granted := x.shown.Granted
	if all := consent.All.With(consent.Unclassified); l == nil || !x.cfg.Rewrite || granted&all == all {
		return out
	}
	out = append(out, "Content-Security-Policy"...)
	if !l.enforced(granted) {
		out = append(out, "-Report-Only"...)
	}
	out = append(out, ": default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"...)
	if site := x.rulesPage().Site(); len(site) > 0 {
		for _, scheme := range [...]string{"http://", "ws://"} {
			out = append(append(append(append(out, ' '), scheme...), site...), ":*"...)
			if bytes.IndexByte(site, '.') > 0 && !isAddress(site) {
				out = append(append(append(append(append(out, ' '), scheme...), "*."...), site...), ":*"...)
			}
		}
	}
	out = append(out, l.sources(granted)...)
	if x.once != nil {
		var once sourceList
		once.vendor(x.once)
		once.sockets(x.once)
		out = append(out, once.text.String()...)
	}
	return append(append(out, l.report...), "\r\n"...)
}

// locksWorker reports whether the answer is the script of a worker, which takes
// its policy from its own answer (HTML, section 10.2.4). Over plain http
// browsers do not say what a script is for, so that any may be a worker's. A
// service worker outlives the choice, and so is left alone.
func (x *exchange) locksWorker() bool {
	if x.site.lock == nil {
		return false
	}
	switch x.dest {
	case toWorker:
		return true
	case unknown:
		return !x.secure && containsFold(x.answer.get(nameContentType), "javascript")
	}
	return false
}

// appendWorkerLock appends the second lock to the answer of a worker's script,
// which then depends on the choice.
func (x *exchange) appendWorkerLock(out []byte) []byte {
	if !x.locksWorker() {
		return out
	}
	return x.appendLock(x.appendDependence(out))
}

// watched is an Observer whose reports teach a site too.
type watched struct {
	banner.Observer
	lock *lock
	news *arrivals
}

// Report takes in the vendors of a report. Hosts are not believed: a report may
// come from anybody.
func (w watched) Report(site string, r *banner.Report) {
	for i := range r.Tags {
		d := &r.Tags[i].Decision
		w.news.learn(d)
		if d.Vendor != nil {
			w.lock.learnVendor(d.Vendor)
		}
	}
	w.Observer.Report(site, r)
}
