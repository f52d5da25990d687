package configs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"golang.org/x/net/idna"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// MaxFile is the longest configuration file that is read, in bytes.
const MaxFile = 4 << 20

// Load reads and checks a configuration file and the lists that it names. Its
// error is of type Mistakes where the file could be read and says something
// wrong.
//
// Judges are asked about each site that is sound so far; what they find is a
// mistake in the file too, on the line that says it.
func Load(path string, judges ...Judge) (*Config, error) {
	text, err := readFile(path, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	cfg, err := Parse(path, text, judges...)
	if err != nil {
		return nil, err
	}
	var mistakes Mistakes
	// found gathers what is wrong; at and line say where that was not said.
	found := func(err error, at string, line int, hint string) {
		if more := (Mistakes)(nil); errors.As(err, &more) {
			mistakes = append(mistakes, more...)
		} else if err != nil {
			mistakes = append(mistakes, Mistake{File: path, Line: line, Field: at, Problem: err.Error(), Hint: hint})
		}
	}
	found(cfg.TLS.load(path), "tls", 1, "")
	found(cfg.readDatabase(path), "location.database", 1, "")
	a := &cfg.AdminAccess
	found(useFiles(path, &a.Certificate, &a.Key, &a.ClientCA), "admin", max(cfg.adminLine, 1), "")
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		t := &s.UpstreamTLS
		found(useFiles(path, &t.Certificate, &t.Key, &t.CA), fmt.Sprintf("sites[%d].upstream_tls", i), max(t.line, 1), "")
		found(s.TCF.readList(path, fmt.Sprintf("sites[%d].tcf", i)), "", 1, "")
		found(s.readOverrides(path), fmt.Sprintf("sites[%d].overrides_file", i), max(s.overridesLine, 1), "")
		if len(s.Lists) == 0 {
			continue
		}
		read := len(mistakes)
		for j := range s.Lists {
			list := &s.Lists[j]
			list.Name = cfg.listFile(path, s, j)
			list.Text, err = readFile(list.Name, rules.MaxListSize)
			hint := ""
			if s.Sources[j] != "" && os.IsNotExist(err) {
				hint = "fetch it with askfirst lists update"
			}
			found(err, fmt.Sprintf("sites[%d].lists[%d]", i, j), s.listLines[j], hint)
		}
		if len(mistakes) == read {
			_, err := rules.New(s.Rules())
			found(err, fmt.Sprintf("sites[%d].lists", i), s.listLines[0], "")
		}
	}
	if mistakes != nil {
		slices.SortStableFunc(mistakes, func(a, b Mistake) int { return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
		return nil, mistakes
	}
	return cfg, nil
}

// FetchedList is a list that is fetched from its address.
type FetchedList struct {
	// List is the list without its text; its name is the file's.
	rules.List
	URL string
}

// FetchedLists checks a configuration file and returns the lists in it that have
// an address, each file once. It does not read the lists.
func FetchedLists(path string) ([]FetchedList, error) {
	text, err := readFile(path, MaxFile)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	cfg, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	var lists []FetchedList
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		for j, url := range s.Sources {
			list := s.Lists[j]
			list.Name = cfg.listFile(path, s, j)
			if url != "" && !slices.ContainsFunc(lists, func(l FetchedList) bool { return l.Name == list.Name }) {
				lists = append(lists, FetchedList{list, url})
			}
		}
	}
	return lists, nil
}

// listFile returns the file of a site's j-th list. A name is relative to the
// configuration file; a list without one is kept in the data folder.
func (c *Config) listFile(path string, s *Site, j int) string {
	if name := s.Lists[j].Name; name != "" {
		return beside(path, name)
	}
	return filepath.Join(cmp.Or(c.Data, "askfirst-data"), "lists", s.Sources[j][strings.LastIndexByte(s.Sources[j], '/')+1:])
}

// Judge finds what is wrong with a site beyond what a Config knows of.
type Judge func(s *Site) []Fault

// Fault is one thing wrong. At is where it is said, below the site: a path such
// as banner.theme.accent.
type Fault struct{ At, Problem string }

func readFile(path string, limit int) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err == nil && len(text) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, err
}

// Parse checks the text of a configuration file. It does no I/O; file is the
// name that mistakes are reported under.
func Parse(file string, text []byte, judges ...Judge) (*Config, error) {
	var document, further yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(&document); err != nil && err != io.EOF {
		return nil, Mistakes{syntaxMistake(file, err)}
	}
	r := &reader{file: file, judges: judges}
	cfg := Default()
	if len(document.Content) == 0 {
		r.refuse(&yaml.Node{Line: 1, Column: 1}, "", "the file is empty", "name at least one site with its upstream")
	} else {
		r.config(document.Content[0], &cfg)
	}
	switch err := documents.Decode(&further); {
	case err == nil:
		r.refuse(&further, "", "a second document begins here", "a configuration is one document: take out the line ---")
	case err != io.EOF:
		r.mistakes = append(r.mistakes, syntaxMistake(file, err))
	}
	if len(r.mistakes) > 0 {
		return nil, r.mistakes
	}
	return &cfg, nil
}

func (r *reader) config(n *yaml.Node, cfg *Config) {
	var sites, admin, tls *yaml.Node
	r.mapping(n, "", fields{
		"listen":          func(n *yaml.Node, at string) { r.address(n, at, &cfg.Listen) },
		"admin":           func(n *yaml.Node, at string) { admin = n; cfg.adminLine = n.Line; r.admin(n, at, cfg) },
		"data":            func(n *yaml.Node, at string) { r.text(n, at, &cfg.Data) },
		"records":         func(n *yaml.Node, at string) { r.database(n, at, &cfg.Records) },
		"access_log":      func(n *yaml.Node, at string) { oneOf(r, n, at, &cfg.AccessLog, "common", "combined", "json") },
		"whole_addresses": func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.WholeAddresses) },
		"server_timing":   func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.ServerTiming) },
		"profiling":       func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.Profiling) },
		"tracing":         func(n *yaml.Node, at string) { r.tracing(n, at, &cfg.Tracing) },
		"resolver":        func(n *yaml.Node, at string) { r.resolver(n, at, &cfg.Resolver) },
		"rewrite":         func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.Rewrite) },
		"proxy_protocol":  func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.ProxyProtocol) },
		"tls":             func(n *yaml.Node, at string) { tls = n; r.tls(n, at, &cfg.TLS) },
		"reuse_port":      func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.ReusePort) },
		"watch":           func(n *yaml.Node, at string) { r.boolean(n, at, &cfg.Watch) },
		"trusted_proxies": func(n *yaml.Node, at string) { r.prefixes(n, at, &cfg.TrustedProxies) },
		"location":        func(n *yaml.Node, at string) { r.location(n, at, &cfg.Location) },
		"alerts":          func(n *yaml.Node, at string) { r.alerts(n, at, &cfg.Alerts) },
		"limits":          func(n *yaml.Node, at string) { r.limits(n, at, &cfg.Limits) },
		"sites":           func(n *yaml.Node, at string) { sites = n },
	})
	if cfg.AdminAccess.BehindTLS && len(cfg.TrustedProxies) == 0 && !r.refused("trusted_proxies") {
		r.refuse(admin, "admin.behind_tls", "no proxy is trusted to speak TLS", "name the one in front in trusted_proxies")
	}
	if sites == nil {
		r.refuse(n, "sites", "no site is named", "add sites: with at least a name, hosts and an upstream")
		return
	}
	names, hosts := map[string]int{}, map[string]int{}
	r.sequence(sites, "sites", func(n *yaml.Node, at string) {
		site := DefaultSite()
		r.site(n, at, &site)
		if site.Regimes.ByPlace() && cfg.Location.unknown() {
			r.refuse(find(n, "regime"), at+".regime", "depends on where the visitor is, and nothing tells that", "set location: country_header or database")
		}
		if line, taken := names[site.Name]; taken {
			r.refuse(n, at+".name", fmt.Sprintf("the name %q is taken by the site in line %d", site.Name, line), "give each site a name of its own")
		}
		names[site.Name] = n.Line
		for _, host := range site.Hosts {
			if line, taken := hosts[host]; taken {
				r.refuse(n, at+".hosts", fmt.Sprintf("the host %q belongs to the site in line %d", host, line), "a host can belong to one site only")
			}
			hosts[host] = n.Line
		}
		cfg.Sites = append(cfg.Sites, site)
	})
	if cfg.Location.CountryHeader != "" && len(cfg.TrustedProxies) == 0 {
		r.refuse(find(n, "location.country_header"), "location.country_header", "is believed from trusted proxies alone, and none is named", "name the proxy in front in trusted_proxies")
	}
	if len(cfg.Sites) == 0 {
		r.refuse(sites, "sites", "no site is named", "add at least one")
	}
	if tls != nil {
		r.checkTLS(tls, cfg)
	}
	fetched := map[string]string{} // addresses by what they are kept under
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		for j, source := range s.Sources {
			if source == "" {
				continue
			}
			name := cmp.Or(s.Lists[j].Name, "lists/"+source[strings.LastIndexByte(source, '/')+1:])
			if other, taken := fetched[name]; taken && other != source {
				r.refuse(&yaml.Node{Line: s.listLines[j]}, fmt.Sprintf("sites[%d].lists[%d]", i, j), fmt.Sprintf("would be kept in the file of %s", other), "give it a file: of its own")
			}
			fetched[name] = source
		}
	}
}

func (r *reader) limits(n *yaml.Node, at string, l *Limits) {
	r.mapping(n, at, fields{
		"request_head":   func(n *yaml.Node, at string) { r.size(n, at, &l.RequestHead, 4<<10, 1<<20) },
		"response_head":  func(n *yaml.Node, at string) { r.size(n, at, &l.ResponseHead, 4<<10, 1<<20) },
		"document":       func(n *yaml.Node, at string) { r.size(n, at, &l.Document, 16<<10, 64<<20) },
		"memo":           func(n *yaml.Node, at string) { r.size(n, at, &l.Memo, 0, 64<<30) },
		"read_head":      func(n *yaml.Node, at string) { r.duration(n, at, &l.ReadHead) },
		"idle":           func(n *yaml.Node, at string) { r.duration(n, at, &l.Idle) },
		"write":          func(n *yaml.Node, at string) { r.duration(n, at, &l.Write) },
		"dial":           func(n *yaml.Node, at string) { r.duration(n, at, &l.Dial) },
		"response":       func(n *yaml.Node, at string) { r.duration(n, at, &l.Response) },
		"upstream_conns": func(n *yaml.Node, at string) { r.number(n, at, &l.UpstreamConns, 1, 1<<20) },
		"queue_wait":     func(n *yaml.Node, at string) { r.duration(n, at, &l.QueueWait) },
		"tunnel":         func(n *yaml.Node, at string) { r.duration(n, at, &l.Tunnel) },
		"drain":          func(n *yaml.Node, at string) { r.duration(n, at, &l.Drain) },
	})
}

func (r *reader) site(n *yaml.Node, at string, s *Site) {
	var locks *bool
	r.mapping(n, at, fields{
		"name":                func(n *yaml.Node, at string) { r.text(n, at, &s.Name) },
		"title":               func(n *yaml.Node, at string) { r.text(n, at, &s.Title) },
		"hosts":               func(n *yaml.Node, at string) { r.hosts(n, at, &s.Hosts) },
		"upstream":            func(n *yaml.Node, at string) { r.upstreams(n, at, s) },
		"health":              func(n *yaml.Node, at string) { r.health(n, at, &s.Health) },
		"upstream_tls":        func(n *yaml.Node, at string) { r.upstreamTLS(n, at, &s.UpstreamTLS) },
		"regime":              func(n *yaml.Node, at string) { r.regimes(n, at, &s.Regimes) },
		"google_consent_mode": func(n *yaml.Node, at string) { r.google(n, at, &s.Google) },
		"tcf":                 func(n *yaml.Node, at string) { r.tcf(n, at, &s.TCF) },
		"gpp":                 func(n *yaml.Node, at string) { r.gpp(n, at, &s.GPP) },
		"do_not_track":        func(n *yaml.Node, at string) { r.boolean(n, at, &s.DoNotTrack) },
		"under_age":           func(n *yaml.Node, at string) { r.underAge(n, at, &s.UnderAge) },
		"unclassified":        func(n *yaml.Node, at string) { oneOf(r, n, at, &s.Unclassified, PassUnclassified, HoldUnclassified) },
		"caching":             func(n *yaml.Node, at string) { oneOf(r, n, at, &s.Caching, PerChoice, Uniform) },
		"second_lock": func(n *yaml.Node, at string) {
			locks = new(bool)
			r.boolean(n, at, locks)
		},
		"revision":            func(n *yaml.Node, at string) { r.revision(n, at, &s.Revision) },
		"ask_on_new_category": func(n *yaml.Node, at string) { r.boolean(n, at, &s.AskOnNewCategory) },
		"policy_url":          func(n *yaml.Node, at string) { r.link(n, at, &s.PolicyURL) },
		"prefix":              func(n *yaml.Node, at string) { r.prefix(n, at, &s.Prefix) },
		"cookie":              func(n *yaml.Node, at string) { r.cookie(n, at, &s.Cookie) },
		"banner":              func(n *yaml.Node, at string) { r.banner(n, at, &s.Banner) },
		"lists":               func(n *yaml.Node, at string) { r.lists(n, at, s) },
		"heuristics_off": func(n *yaml.Node, at string) {
			s.HeuristicsOff = r.list(n, at)
			for _, name := range s.HeuristicsOff {
				if !slices.Contains(rules.Heuristics(), name) {
					r.refuse(n, at, fmt.Sprintf("%q is no heuristic", name), fmt.Sprintf("what can stand here: %v", rules.Heuristics()))
				}
			}
		},
		"transfers": func(n *yaml.Node, at string) {
			s.Transfers = make(map[string]string)
			r.entries(n, at, func(id string, n *yaml.Node, at string) {
				var basis string
				oneOf(r, n, at, &basis, "dpf", "scc")
				s.Transfers[id] = basis
			})
		},
		"overrides":         func(n *yaml.Node, at string) { r.overrides(n, at, &s.Overrides) },
		"overrides_file":    func(n *yaml.Node, at string) { s.overridesLine = n.Line; r.text(n, at, &s.OverridesFile) },
		"truncate_address":  func(n *yaml.Node, at string) { r.boolean(n, at, &s.TruncateAddress) },
		"leave":             func(n *yaml.Node, at string) { r.leave(n, at, &s.Leave) },
		"obey_no_transform": func(n *yaml.Node, at string) { r.boolean(n, at, &s.ObeyNoTransform) },
		"remove_rivals":     func(n *yaml.Node, at string) { r.boolean(n, at, &s.RemoveRivals) },
	})
	// The choice does not say in which language it was made: the strings say the
	// site's.
	s.TCF.Language, _, _ = strings.Cut(s.Banner.Language, "-")
	s.SecondLock = s.Unclassified == HoldUnclassified && s.Caching == PerChoice
	if locks != nil {
		s.SecondLock = *locks
	}
	if s.Caching == Uniform && s.SecondLock {
		r.refuse(find(n, "second_lock"), at+".second_lock", "cannot stand beside caching: uniform", "its policy follows each visitor's choice, and one page for all has one policy; use caching: per-choice")
	}
	if s.Caching == Uniform && s.Regimes.Fallback != consent.OptIn {
		r.refuse(find(n, "caching"), at+".caching", fmt.Sprintf("cannot be uniform under the regime %s", s.Regimes.Fallback), "one page for all holds everything until its visitor agrees, which is opt-in; use caching: per-choice")
	}
	if s.Caching == Uniform && s.Regimes.ByPlace() {
		r.refuse(find(n, "caching"), at+".caching", "cannot be uniform where the regime depends on where the visitor is", "one page for all holds everything until its visitor agrees; use caching: per-choice, or one regime for everybody")
	}
	if s.Caching == Uniform && s.UnderAge.Cookie != "" {
		r.refuse(find(n, "caching"), at+".caching", "cannot be uniform where a cookie says that the visitor is a child", "name pages for children by under_age.paths or mark, or use caching: per-choice")
	}
	if s.Name == "" {
		r.refuse(n, at+".name", "is missing", "name the site; records are kept under this name")
	}
	if len(s.Hosts) == 0 && !r.refused(at+".hosts") {
		r.refuse(n, at+".hosts", "is missing", `list the host names, or ["*"] for every host`)
	}
	if d := s.Cookie.Domain; d != "" && len(s.Hosts) > 0 && !r.refused(at+".cookie.domain") && !slices.ContainsFunc(s.Hosts, func(host string) bool {
		return host == "*" || strings.HasSuffix("."+strings.TrimPrefix(host, "*."), "."+d)
	}) {
		r.refuse(find(n, "cookie.domain"), at+".cookie.domain", fmt.Sprintf("none of the site's hosts is in %q", d), "write the domain that they are in, or leave it out")
	}
	if s.Upstream == nil && !r.refusedUnder(at+".upstream") {
		r.refuse(n, at+".upstream", "is missing", "give the site's own address, such as http://127.0.0.1:3000")
	}
	if s.PolicyURL == "" && !r.refused(at+".policy_url") {
		r.refuse(n, at+".policy_url", "is missing", "visitors must find the privacy policy from the banner (EDPB Guidelines 05/2020 on consent, informed consent)")
	}
	r.judge(n, at, s)
}

// evenHanded refuses a setting by which a banner would not ask fairly, and names
// the rule.
func (r *reader) evenHanded(rule string) func(n *yaml.Node, at string) {
	return func(n *yaml.Node, at string) { r.refuse(n, at, "cannot be set", rule) }
}

// judge asks the judges about a site, and finds the lines of what they find.
func (r *reader) judge(n *yaml.Node, at string, s *Site) {
	if r.refusedUnder(at) {
		return
	}
	for _, judge := range r.judges {
		for _, f := range judge(s) {
			r.refuse(find(n, f.At), at+"."+f.At, f.Problem, "")
		}
	}
}

func (r *reader) cookie(n *yaml.Node, at string, c *CookieOptions) {
	r.mapping(n, at, fields{
		"domain": func(n *yaml.Node, at string) {
			r.text(n, at, &c.Domain)
			c.Domain = strings.ToLower(strings.TrimPrefix(c.Domain, "."))
			if !validHost(c.Domain) || strings.ContainsAny(c.Domain, "_:") {
				r.refuse(n, at, fmt.Sprintf("%q is not a domain", c.Domain), "write a domain such as shop.example")
			}
		},
		"max_age": func(n *yaml.Node, at string) {
			r.duration(n, at, &c.MaxAge)
			if c.MaxAge > consent.MaxMaxAge {
				r.refuse(n, at, "is longer than browsers keep a cookie", "use at most 395d; 180d is what data protection authorities expect")
			}
			if c.MaxAge < time.Second {
				r.refuse(n, at, "is shorter than cookies count", "use at least 1s; 180d is what data protection authorities expect")
			}
		},
	})
}

func (r *reader) banner(n *yaml.Node, at string, b *Banner) {
	r.mapping(n, at, fields{
		"layout":  func(n *yaml.Node, at string) { oneOf(r, n, at, &b.Layout, "bar", "box", "centre") },
		"logo":    func(n *yaml.Node, at string) { r.logo(n, at, &b.Logo) },
		"release": func(n *yaml.Node, at string) { oneOf(r, n, at, &b.Release, "in-place", "reload") },
		"clear": func(n *yaml.Node, at string) {
			b.Clear = nil
			r.sequence(n, at, func(n *yaml.Node, at string) {
				var what string
				oneOf(r, n, at, &what, "storage", "cache")
				b.Clear = append(b.Clear, what)
			})
		},
		"language": func(n *yaml.Node, at string) { r.text(n, at, &b.Language) },
		"theme":    func(n *yaml.Node, at string) { b.Theme = r.strings(n, at) },
		"texts": func(n *yaml.Node, at string) {
			b.Texts = map[string]map[string]string{}
			r.entries(n, at, func(language string, n *yaml.Node, at string) { b.Texts[language] = r.strings(n, at) })
		},
		"reject":    r.evenHanded("refusing is always offered beside agreeing, on the first layer (EDPB Cookie Banner Taskforce report, practice A, paragraph 8; CNIL guidelines of 17 September 2020)"),
		"preticked": r.evenHanded("boxes are never ticked beforehand (CJEU C-673/17 Planet49; EDPB Cookie Banner Taskforce report, practice B)"),
		"buttons":   r.evenHanded("the buttons of the first layer are equal in size, colour and weight (EDPB Cookie Banner Taskforce report, practices C to E; CNIL guidelines of 17 September 2020)"),
		"close":     r.evenHanded("closing or scrolling on is no consent, so that there is nothing to close before a choice (EDPB Guidelines 05/2020 on consent, paragraphs 79 and 86)"),
		"wall":      r.evenHanded("the site can be used without agreeing; layout: centre asks over the page (EDPB Guidelines 05/2020 on consent, paragraphs 39 to 41)"),
		"reopen":    r.evenHanded("a choice can always be taken back by the control at the page's edge (GDPR, article 7(3); EDPB Cookie Banner Taskforce report, practice K)"),
	})
}

// lists reads what is said of lists; their names are those of files that are
// still to be read.
func (r *reader) lists(n *yaml.Node, at string, s *Site) {
	r.sequence(n, at, func(n *yaml.Node, at string) {
		source := ""
		list := rules.List{Format: rules.FormatABP, Category: consent.Marketing}
		r.mapping(n, at, fields{
			"file": func(n *yaml.Node, at string) { r.text(n, at, &list.Name) },
			"url": func(n *yaml.Node, at string) {
				r.text(n, at, &source)
				u, err := url.Parse(source)
				if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.HasPrefix(u.Path[strings.LastIndexByte(u.Path, '/')+1:], ".") || strings.HasSuffix(u.Path, "/") || u.Path == "" || u.RawQuery != "" || u.Fragment != "" {
					r.refuse(n, at, fmt.Sprintf("%q is not the address of a file", source), "write one such as https://lists.example/easyprivacy.txt")
				}
			},
			"format": func(n *yaml.Node, at string) {
				oneOf(r, n, at, &list.Format, rules.FormatABP, rules.FormatHosts, rules.FormatDisconnect, rules.FormatTrackerDB, rules.FormatTrackerRadar)
			},
			"category": func(n *yaml.Node, at string) { r.category(n, at, &list.Category) },
		})
		if list.Name == "" && source == "" && !r.refused(at+".file") {
			r.refuse(n, at+".file", "is missing", "name the file, relative to this one, or the url that it is fetched from")
		}
		s.Lists, s.Sources = append(s.Lists, list), append(s.Sources, source)
		s.listLines = append(s.listLines, n.Line)
	})
}

func (r *reader) hosts(n *yaml.Node, at string, hosts *[]string) {
	for _, host := range r.list(n, at) {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if strings.IndexFunc(host, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
			// Browsers ask for it in ASCII (UTS #46).
			name := strings.TrimPrefix(host, "*.")
			if ascii, err := idna.Lookup.ToASCII(name); err == nil {
				host = strings.TrimSuffix(host, name) + ascii
			}
		}
		if host != "*" && !validHost(strings.TrimPrefix(host, "*.")) {
			r.refuse(n, at, fmt.Sprintf("%q is not a host name", host), "write names without scheme, port or path, such as shop.example, *.shop.example or *")
			continue
		}
		*hosts = append(*hosts, host)
	}
}

// validHost reports whether host can stand in a Host field: letters, digits,
// hyphens and dots, or an IP address.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	if host == "" || len(host) > 253 {
		return false
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

func (r *reader) link(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	u, err := url.Parse(*to)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "") || (u.Scheme == "" && !strings.HasPrefix(u.Path, "/")) {
		r.refuse(n, at, fmt.Sprintf("%q is neither a path nor an http address", *to), "write /privacy or https://shop.example/privacy")
	}
}

// logo reads the path of a picture. One from elsewhere would tell somebody of
// every visitor who is asked.
func (r *reader) logo(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	u, err := url.Parse(*to)
	if err != nil || u.Scheme != "" || !strings.HasPrefix(*to, "/") || strings.HasPrefix(*to, "//") || strings.ContainsFunc(*to, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"'<>\`, c) }) {
		r.refuse(n, at, fmt.Sprintf("%q is no path on the site", *to), "write one such as /logo.svg: a picture from elsewhere would be asked for before there is consent")
	}
}

func (r *reader) database(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	if err := CheckDatabase(*to); err != nil {
		r.refuse(n, at, err.Error(), "write postgres://user@host:5432/name?sslmode=verify-full, and the password into ~/.pgpass or PGPASSWORD")
	}
}

// CheckDatabase tells what is wrong with the address of a PostgreSQL database. It
// shows no password.
func CheckDatabase(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("is not the address of a PostgreSQL database")
	}
	if u.Host == "" && u.Query().Get("host") == "" {
		return fmt.Errorf("%q names no host", u.Redacted())
	}
	if len(u.Path) < 2 {
		return fmt.Errorf("%q names no database", u.Redacted())
	}
	switch mode := u.Query().Get("sslmode"); mode {
	case "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full":
	default:
		return fmt.Errorf("%q has sslmode %q, which there is none of", u.Redacted(), mode)
	}
	return nil
}

func (r *reader) prefix(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	p := *to
	if len(p) < 3 || p[0] != '/' || p[len(p)-1] != '/' || strings.Contains(p, "//") || strings.Contains(p, "..") {
		r.refuse(n, at, fmt.Sprintf("%q is not a path prefix", p), "write a path that begins and ends in a slash, such as /_askfirst/")
	} else if !plainPath.MatchString(p) {
		r.refuse(n, at, fmt.Sprintf("%q has characters that mean something in addresses", p), "write letters, digits, - . _ and ~")
	}
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9._~/-]+$`)

func (r *reader) regime(n *yaml.Node, at string, to *consent.Regime) {
	var name string
	r.text(n, at, &name)
	regime, ok := consent.ParseRegime(name)
	if !ok {
		r.refuse(n, at, fmt.Sprintf("%q is no regime", name), "choose opt-in, opt-out or notice")
	}
	*to = regime
}

func (r *reader) category(n *yaml.Node, at string, to *consent.Category) {
	var name string
	r.text(n, at, &name)
	c, ok := consent.ParseCategory(name)
	if !ok || c == consent.Unclassified {
		r.refuse(n, at, fmt.Sprintf("%q is no category", name), "choose necessary, functional, analytics, marketing or social")
		return
	}
	*to = c
}

func (r *reader) revision(n *yaml.Node, at string, to *uint32) {
	revision := int(*to)
	r.number(n, at, &revision, 1, 1<<31-1)
	*to = uint32(revision)
}

func (r *reader) prefixes(n *yaml.Node, at string, to *[]netip.Prefix) {
	for _, text := range r.list(n, at) {
		prefix, err := netip.ParsePrefix(text)
		if addr, e := netip.ParseAddr(text); e == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			r.refuse(n, at, fmt.Sprintf("%q is neither an address nor a range", text), "write 10.0.0.0/8 or 192.0.2.7")
			continue
		}
		*to = append(*to, prefix)
	}
}

func (r *reader) address(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	if err := CheckAddress(*to); err != nil {
		r.refuse(n, at, err.Error(), "write host:port, or :port for every address of this machine")
	}
}

func (r *reader) resolver(n *yaml.Node, at string, to *string) {
	r.text(n, at, to)
	host, port, err := net.SplitHostPort(*to)
	if number, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || number == 0 {
		r.refuse(n, at, fmt.Sprintf("%q is not host:port of a DNS server", *to), "write one such as 127.0.0.1:53")
	}
}

// CheckAddress tells what is wrong with a listening address.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no valid port", address)
	}
	return nil
}
