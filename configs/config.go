package configs

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
	"github.com/askfirst/askfirst/rules/consent/iab"
)

// Config is everything that an operator can say. It is valid as Load returns
// it: what reads it need not check again.
type Config struct {
	// Listen is the address that visitors reach, host:port.
	Listen string
	// Admin is the address of the admin listener; empty for none.
	Admin string
	// AdminAccess is who may use it.
	AdminAccess AdminAccess
	// Data is the folder that records are kept in; empty where nothing is said.
	Data string
	// Records is the PostgreSQL database that receipts and counts are kept in,
	// postgres://…; empty for a file in Data. With it, Data holds what waits
	// while the database cannot be reached.
	Records string
	// ProxyProtocol says that every connection from a trusted proxy begins with
	// a PROXY protocol header, version 1 or 2.
	ProxyProtocol bool
	// TLS is how visitors are served by https.
	TLS TLS
	// ReusePort lets a successor listen at the same address before this
	// process ends (SO_REUSEPORT).
	ReusePort bool
	// Watch puts changes of the configuration and of the files that it names
	// in force as they are seen.
	Watch bool
	// AccessLog is the form in which requests are logged: common, combined or
	// json; empty for none. Addresses lose their last bits in all of them.
	AccessLog string
	// WholeAddresses logs addresses as they are all the same.
	WholeAddresses bool
	// ServerTiming tells visitors how long upstream and proxy took
	// (Server-Timing, W3C).
	ServerTiming bool
	// Profiling serves Go's profiles under /debug/pprof/ of the admin listener.
	Profiling bool
	// Tracing is where spans of requests are sent.
	Tracing Tracing
	// Resolver is the DNS server, host:port, that is asked under which other
	// names the sites' own hosts are known; empty for not to ask.
	Resolver string
	// Rewrite false makes a plain proxy that changes no page.
	Rewrite bool
	// TrustedProxies are the peers whose X-Forwarded-* and Forwarded fields
	// are believed.
	TrustedProxies []netip.Prefix
	// Location is how it is known where a visitor is.
	Location Location
	// Alerts are what is told at once.
	Alerts    Alerts
	Limits    Limits
	adminLine int
	// Sites has at least one entry, with unique names.
	Sites []Site
}

// Location is how it is known where a visitor is: a trusted proxy says so, or a
// database tells it from the address. Its zero value knows of nobody.
type Location struct {
	// CountryHeader and RegionHeader are names of request fields, believed
	// from TrustedProxies alone; empty for none.
	CountryHeader, RegionHeader string
	// File is a MaxMind database of countries or cities, and Database what is
	// in it; empty and nil for none.
	File     string
	Database *maxminddb.Reader
	line     int
}

// TCF is the IAB's Transparency and Consent Framework.
type TCF struct {
	iab.TCF
	// Cookie keeps the TC string in the cookie euconsent-v2 too.
	Cookie bool
	// File is the vendor list, and Only the IDs of the vendors in it that
	// visitors are told of; nil for all.
	File string
	Only []int
	line int
}

// UnderAge is how pages for children are known: nothing but what is necessary
// is on them, and nothing is asked. Its zero value knows none.
type UnderAge struct {
	// Paths are globs of paths, such as /kids/*.
	Paths []string
	// Cookie is a cookie of the site's that says so, and CookieValue its value;
	// any will do where that is empty.
	Cookie, CookieValue string
	// Mark says that pages say so themselves, by data-askfirst-audience="child"
	// on <html> or <meta name="askfirst-audience" content="child">.
	Mark bool
}

// Limits bound what one peer can make the proxy hold or wait for.
type Limits struct {
	// RequestHead and ResponseHead are the longest heads taken, in bytes.
	RequestHead, ResponseHead int
	// Document is the largest page, in decoded bytes, that is held whole and
	// memoised; a larger one is streamed.
	Document int
	// Memo is how many bytes of finished pages are remembered; 0 for none.
	Memo int
	// ReadHead, Idle and Write are how long a visitor may take to send a head,
	// to send the next request, and to take what is sent without moving.
	ReadHead, Idle, Write time.Duration
	// Dial and Response are how long the upstream may take to accept a
	// connection and to begin its answer.
	Dial, Response time.Duration
	// UpstreamConns is how many connections one site's upstream is given;
	// a request waits at most QueueWait for one.
	UpstreamConns int
	QueueWait     time.Duration
	// Tunnel is how long a WebSocket may rest with nothing sent either way.
	Tunnel time.Duration
	// Drain is how long requests under way may take after a stop is asked for.
	Drain time.Duration
}

// Site is one website that is fronted.
type Site struct {
	// Name is what the site's records are kept under.
	Name string
	// Title is what visitors are told the site is called; empty for the host
	// that they are on.
	Title string
	// Hosts are exact names, *.wildcards or "*" for every host that no other
	// site names.
	Hosts []string
	// Upstream is an http or https URL without path.
	Upstream *url.URL
	// Others are further servers of the same site. A request goes to the one
	// that has least to do.
	Others []*url.URL
	// Weights are how much of the requests Upstream and each of Others is to
	// have beside the rest, from 1 to 100; nil for all alike.
	Weights []int
	// Health is how the servers are watched.
	Health Health
	// UpstreamTLS is how https upstreams are trusted.
	UpstreamTLS UpstreamTLS

	// Regimes say how consent works; without rules it is the fallback for all.
	Regimes consent.Regimes
	// Google is how Google Consent Mode is spoken.
	Google consent.Google
	// TCF is off where its CMP is 0, GPP where it has no sections.
	TCF TCF
	GPP iab.GPP
	// DoNotTrack honours DNT as Sec-GPC is.
	DoNotTrack bool
	// UnderAge is how pages for children are known.
	UnderAge     UnderAge
	Unclassified Unclassified
	// SecondLock sends a Content-Security-Policy that names whom a page may
	// contact under a choice. The browser refuses the others where unclassified
	// third parties are held, and reports them where they pass.
	SecondLock bool
	// Caching says for whom one page is made.
	Caching Caching
	// Revision is the policy revision, from 1; raising it asks everybody again.
	Revision uint32
	// AskOnNewCategory asks those again who chose before a vendor of a category
	// appeared that the site had used none of.
	AskOnNewCategory bool
	// PolicyURL is the site's privacy policy, absolute or a path.
	PolicyURL string
	// Prefix begins the paths of the own endpoints; it begins and ends in "/".
	Prefix string
	Cookie CookieOptions
	Banner Banner
	// Overrides are the operator's own rules.
	Overrides []rules.Override
	// OverridesFile is a file of further overrides, to which the admin pages
	// write what an operator classifies there; empty for none.
	OverridesFile string
	overridesLine int
	// Lists are the operator's lists of trackers, read from their files.
	Lists []rules.List
	// Sources has, for each of Lists, the address that it is fetched from, empty
	// for those kept by hand.
	Sources   []string
	listLines []int
	// Transfers says on what data go to vendors outside the European Economic
	// Area, by the vendor's ID: dpf (certified under the EU-US Data Privacy
	// Framework) or scc (standard contractual clauses).
	Transfers map[string]string
	// HeuristicsOff names the heuristics that are not asked; see
	// rules.Heuristics.
	HeuristicsOff []string
	// TruncateAddress takes the last bits off visitors' addresses before they
	// are passed on: what follows the /24 of IPv4 and the /48 of IPv6.
	TruncateAddress bool
	// Leave are globs of paths whose pages are passed on as they came, with
	// nothing asked and nothing held: where those work who run the site.
	Leave []string
	// ObeyNoTransform leaves pages with Cache-Control: no-transform as they
	// are, and adds a policy by which they contact no third party.
	ObeyNoTransform bool
	// RemoveRivals takes other consent platforms' banner scripts out.
	RemoveRivals bool
}

// Health is how a site's servers are watched. One that cannot be reached is left
// out for Pause, as long as another can be.
type Health struct {
	// Path is asked for every Every, and must be answered with a status under
	// 400 within Limits.Response; empty to go by requests alone.
	Path  string
	Every time.Duration
	// Failures is how many times in a row a server fails before it is left
	// out, and Pause for how long.
	Failures int
	Pause    time.Duration
}

// UpstreamTLS is how https upstreams are trusted. Its zero value verifies them
// by the system's authorities.
type UpstreamTLS struct {
	// CA is a file of authorities in PEM that stand instead of the system's.
	CA string
	// Certificate and Key are files in PEM that we show to the upstream.
	Certificate, Key string
	// ServerName is whom the certificate must name, if not the URL's host.
	ServerName string
	// Unverified takes any certificate. Whoever is between us and the upstream
	// can then read and change everything.
	Unverified bool

	line int
}

// Rules are the options by which the site's rules are compiled.
func (s *Site) Rules() rules.Options {
	return rules.Options{Overrides: s.Overrides, Lists: s.Lists, HeuristicsOff: s.HeuristicsOff, ConsentMode: s.Google.Mode == consent.GoogleAdvanced}
}

// Unclassified is what becomes of third parties that no rule knows.
type Unclassified string

// The ways with unclassified third parties.
const (
	// PassUnclassified lets them through, counted.
	PassUnclassified Unclassified = "pass"
	// HoldUnclassified holds them until the visitor agrees to marketing.
	HoldUnclassified Unclassified = "hold"
)

// Caching says for whom one page is made, and so who may keep it.
type Caching string

// The ways of caching pages.
const (
	// PerChoice makes a page for each choice; only browsers may keep it.
	PerChoice Caching = "per-choice"
	// Uniform makes one page for all, with everything held, that any cache may
	// keep as the upstream allows. The guard releases in it what the visitor
	// has agreed to.
	Uniform Caching = "uniform"
)

// CookieOptions are the attributes of the consent cookie.
type CookieOptions struct {
	// Domain shares the choice across subdomains; empty for the host alone.
	Domain string
	// MaxAge is how long a choice stands, at most consent.MaxMaxAge.
	MaxAge time.Duration
}

// Banner is how visitors are asked.
type Banner struct {
	// Layout is bar, box or centre.
	Layout string
	// Logo is the path of a picture on the site, shown above the title; empty
	// for none.
	Logo string
	// Release is in-place or reload: how what was agreed to comes into a page
	// that is open.
	Release string
	// Clear is what else the browser forgets of the site when something is
	// withdrawn: storage, cache.
	Clear []string
	// Language is the BCP 47 tag of the texts where the page and the browser
	// name none that we have.
	Language string
	// Theme sets CSS custom properties of the banner by their names without
	// the leading --askfirst-.
	Theme map[string]string
	// Texts replace texts, by language and key.
	Texts map[string]map[string]string
}

// Default returns the configuration that holds where nothing else is said,
// without a site.
func Default() Config {
	return Config{
		Listen:  ":8080",
		Admin:   "127.0.0.1:9090",
		Rewrite: true,
		Watch:   true,
		Limits: Limits{
			RequestHead:   64 << 10,
			ResponseHead:  64 << 10,
			Document:      1 << 20,
			Memo:          64 << 20,
			ReadHead:      10 * time.Second,
			Idle:          75 * time.Second,
			Write:         60 * time.Second,
			Dial:          5 * time.Second,
			Response:      60 * time.Second,
			UpstreamConns: 512,
			QueueWait:     5 * time.Second,
			Tunnel:        time.Hour,
			Drain:         30 * time.Second,
		},
	}
}

// DefaultSite returns a site with everything set but its name, hosts and
// upstream.
func DefaultSite() Site {
	return Site{
		Unclassified: PassUnclassified,
		Caching:      PerChoice,
		Revision:     1,
		Prefix:       "/_askfirst/",
		Health:       Health{Every: 5 * time.Second, Failures: 3, Pause: 10 * time.Second},
		Cookie:       CookieOptions{MaxAge: consent.DefaultMaxAge},
		Banner:       Banner{Layout: "bar", Release: "in-place", Language: "en"},
	}
}
