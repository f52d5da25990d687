package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// site is one website that is fronted, compiled. It never changes.
type site struct {
	*configs.Site
	engine  *rules.Engine
	banner  *banner.Banner
	servers *servers
	policy  contentPolicy
	places  *places
	// varies names the request fields that the site's configuration makes
	// pages depend on.
	varies  []string
	answers *answers
	lock    *lock // nil for none
	news    *arrivals
	// byPage says that what is held may depend on the page's path.
	byPage bool
	// marker tells pages apart that one upstream page was made into under
	// other rules or another configuration; see variant.
	marker uint64
}

// sites is the table of all sites, looked up by host. A reload makes another.
type sites struct {
	cfg      *configs.Config
	all      []*site
	exact    map[string]*site
	wildcard map[string]*site // by what follows the asterisk, with its dot
	other    *site

	certificates *certificates
	tracer       *tracer // nil for none
	resolver     resolver
}

// newSites compiles cfg; before is what is in force, nil for nothing.
func newSites(cfg *configs.Config, o Options, m *metrics, before *sites) (*sites, error) {
	t := &sites{cfg: cfg, exact: make(map[string]*site), wildcard: make(map[string]*site)}
	var errs []error
	var standing *issuer
	var tracing *tracer
	var known resolver
	if before != nil {
		standing, tracing, known = before.certificates.issuer, before.tracer, before.resolver
	}
	t.tracer = newTracer(cfg, tracing, &m.lostSpans, o.Log)
	var err error
	if t.certificates, err = loadCertificates(cfg, standing); err != nil {
		errs = append(errs, err)
	}
	if t.resolver, err = newResolver(cfg.Resolver, known); err != nil {
		errs = append(errs, err)
	}
	for i := range cfg.Sites {
		s, err := newSite(cfg, &cfg.Sites[i], t.resolver.aliases, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("site %s: %w", cfg.Sites[i].Name, err))
			continue
		}
		s.answers = m.of(s.Name)
		t.all = append(t.all, s)
		for _, h := range s.Hosts {
			h = strings.ToLower(h)
			switch {
			case h == "*":
				t.other = s
			case strings.HasPrefix(h, "*."):
				t.wildcard[h[1:]] = s
			default:
				t.exact[h] = s
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.close(known)
		return nil, err
	}
	return t, nil
}

// catalogue returns the rules of sites that have none of their own. Compiling
// them takes some milliseconds and megabytes, so it is done once.
var catalogue = sync.OnceValues(func() (*rules.Engine, error) { return rules.New(rules.Options{}) })

// Judge is a configs.Judge: it finds what is wrong with a site's banner.
func Judge(c *configs.Site) (found []configs.Fault) {
	for _, f := range banner.Check(bannerOptions(c, Options{})) {
		found = append(found, configs.Fault{At: "banner." + f.At, Problem: f.Problem})
	}
	known, err := catalogue()
	if err != nil {
		return found
	}
	for _, id := range slices.Sorted(maps.Keys(c.Transfers)) {
		if v := known.Vendor(id); v == nil {
			found = append(found, configs.Fault{At: "transfers." + id, Problem: "no vendor has this id"})
		} else if c.Transfers[id] == "dpf" && v.Country != "US" {
			found = append(found, configs.Fault{At: "transfers." + id, Problem: "the EU-US Data Privacy Framework is for companies of the United States"})
		}
	}
	return found
}

func bannerOptions(c *configs.Site, o Options) banner.Options {
	return banner.Options{
		Site:         c.Name,
		Title:        c.Title,
		Prefix:       c.Prefix,
		Revision:     c.Revision,
		PolicyURL:    c.PolicyURL,
		Language:     c.Banner.Language,
		Texts:        c.Banner.Texts,
		Theme:        c.Banner.Theme,
		Layout:       c.Banner.Layout,
		Logo:         c.Banner.Logo,
		CookieDomain: c.Cookie.Domain,
		CookieMaxAge: c.Cookie.MaxAge,
		Unclassified: string(c.Unclassified),
		Transfers:    c.Transfers,
		Signals:      signals(c),
		Anew:         c.Banner.Release == "reload",
		Clear:        c.Banner.Clear,
		SecondLock:   c.SecondLock,
		Uniform:      c.Caching == configs.Uniform,
		Log:          o.Log,
	}
}

func newSite(cfg *configs.Config, c *configs.Site, aliases *rules.Aliases, o Options) (*site, error) {
	engine, err := catalogue()
	if len(c.Overrides) > 0 || len(c.Lists) > 0 || len(c.HeuristicsOff) > 0 || c.Google.Mode == consent.GoogleAdvanced || aliases != nil {
		own := c.Rules()
		own.Aliases = aliases
		engine, err = rules.New(own)
	}
	if err != nil {
		return nil, err
	}
	for _, list := range engine.Lists() {
		level := slog.LevelInfo
		if list.Rules == 0 { // half written, or another file: what it held passes
			level = slog.LevelWarn
		}
		o.Log.Log(context.Background(), level, "list of trackers", "site", c.Name, "read", list.String())
	}
	seen, _ := o.Observer.Seen(c.Name)
	watch := watched{o.Observer, newLock(c, engine, seen), newArrivals(c, engine, seen, o.Observer.Since(c.Name))}
	b, err := banner.New(bannerOptions(c, o), engine, o.Records, watch)
	if err != nil {
		return nil, err
	}
	servers, err := newServers(cfg, c, o.Log)
	if err != nil {
		return nil, err
	}
	s := &site{
		Site:    c,
		engine:  engine,
		banner:  b,
		servers: servers,
		lock:    watch.lock,
		news:    watch.news,
		places:  newPlaces(&cfg.Location),
	}
	s.varies = s.fieldsAsked(&cfg.Location)
	s.byPage = len(c.UnderAge.Paths) > 0 || slices.ContainsFunc(c.Overrides, func(o rules.Override) bool { return o.Pages != "" })
	s.policy = newContentPolicy(b, c.Prefix)
	s.marker = s.mark()
	return s, nil
}

// close ends what t began, but for what goes on in kept.
func (t *sites) close(kept resolver) {
	for _, s := range t.all {
		s.servers.close()
	}
	t.resolver.close(kept)
}

// find returns the site of a host, given in lower case and without port; nil
// where there is none.
func (t *sites) find(host []byte) *site {
	if s := t.exact[string(host)]; s != nil {
		return s
	}
	for len(t.wildcard) > 0 {
		dot := bytes.IndexByte(host, '.')
		if dot < 0 {
			break
		}
		if s := t.wildcard[string(host[dot:])]; s != nil {
			return s
		}
		host = host[dot+1:]
	}
	return t.other
}

// stand works out what holds for a visitor.
func (s *site) stand(at consent.Place, choice *consent.Choice, objection consent.Objection) consent.Standing {
	st := consent.Stand(s.Regimes.Regime(at), choice, objection)
	if s.Unclassified == configs.PassUnclassified || st.Granted.Has(consent.Marketing) {
		st.Granted = st.Granted.With(consent.Unclassified)
	}
	return st
}

// leaves reports whether pages at a path are passed on as they came. What the
// upstream may read as another path is not left.
func (s *site) leaves(path []byte) bool {
	if len(s.Leave) == 0 || bytes.ContainsAny(path, `%;\`) || bytes.Contains(path, []byte("//")) || bytes.Contains(path, []byte("..")) {
		return false
	}
	return slices.ContainsFunc(s.Leave, func(glob string) bool { return rules.MatchPath(glob, path) })
}

// signals returns how other software is told of choices on a site.
func signals(c *configs.Site) (s banner.Signals) {
	s.Google = c.Google
	if c.TCF.CMP != 0 {
		s.TCF, s.TCCookie = &c.TCF.TCF, c.TCF.Cookie
	}
	if len(c.GPP.Sections) > 0 {
		s.GPP = &c.GPP
	}
	return s
}
