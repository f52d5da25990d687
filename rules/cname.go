package rules

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/askfirst/askfirst/rules/consent"
)

// Aliases finds out under which other names the hosts of a site are known in
// DNS, so that a tracker is seen that hides behind a name of the site's own
// (metrics.shop.example, an alias of shop.tracker.example). It asks in the
// background only: a host that has not been asked about yet counts as what it
// seems to be, until the answer is there.
type Aliases struct {
	server  string
	mu      sync.Mutex // between asking and answering
	known   *lru.Cache[uint64, alias]
	wanted  chan string
	changes atomic.Uint64
	now     func() time.Time
}

// alias is what DNS said of a host.
type alias struct {
	host  string
	names []string // that the host is an alias of, in order
	until time.Time
}

// Limits of Aliases: how many hosts are remembered, how many may wait to be
// asked about, for how long an answer and a failure stand, how long an answer
// is waited for, and how many names a chain may have.
const (
	maxAliases     = 4096
	maxWanted      = 256
	aliasLifetime  = time.Hour
	failedLifetime = time.Minute
	aliasTimeout   = 5 * time.Second
	maxChain       = 16
)

// NewAliases starts asking the DNS server at an address (host:port), until ctx
// is done.
func NewAliases(ctx context.Context, server string) (*Aliases, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("rules: DNS server %q: %w", server, err)
	}
	known, err := lru.New[uint64, alias](maxAliases)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	a := &Aliases{server: server, known: known, wanted: make(chan string, maxWanted), now: time.Now}
	go a.run(ctx)
	return a, nil
}

// names returns what a host is an alias of, as far as is known, and sees to it
// that it becomes known. hash is the host's among labels.
func (a *Aliases) names(host []byte, hash uint32) []string {
	key := uint64(hash)<<32 | uint64(len(host))
	found, ok := a.known.Get(key)
	ok = ok && found.host == string(host)
	if !ok || a.now().After(found.until) {
		a.want(string(host), key)
	}
	if !ok {
		return nil
	}
	return found.names
}

// want has a host asked about. Until there is an answer, what was known stands,
// and the host is not asked for again.
func (a *Aliases) want(host string, key uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.known.Peek(key)
	if ok && found.host == host && a.now().Before(found.until) {
		return // another page was first
	}
	if !ok || found.host != host {
		found = alias{host: host}
	}
	select {
	case a.wanted <- host:
		found.until = a.now().Add(failedLifetime)
		a.known.Add(key, found)
	default: // the next page asks again
	}
}

// run asks about one host after another.
func (a *Aliases) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case host := <-a.wanted:
			a.ask(ctx, host)
		}
	}
}

func (a *Aliases) ask(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, aliasTimeout)
	defer cancel()
	names, err := lookupAliases(ctx, a.server, host)
	if err != nil {
		return // what was known stands, until it is asked for again
	}
	var l labels
	buf := append(make([]byte, textPad, textPad+len(host)), host...)
	l.read(buf, textPad, len(buf))
	key := uint64(l.hashes[l.n-1])<<32 | uint64(len(host))
	a.mu.Lock()
	defer a.mu.Unlock()
	before, _ := a.known.Peek(key)
	a.known.Add(key, alias{host, names, a.now().Add(aliasLifetime)})
	if strings.Join(before.names, " ") != strings.Join(names, " ") {
		a.changes.Add(1)
	}
}

// lookupAliases returns the chain of names that a host is an alias of. It asks
// by UDP, and by TCP where the answer was cut short.
func lookupAliases(ctx context.Context, server, host string) ([]string, error) {
	name, err := dnsmessage.NewName(host + ".")
	if err != nil {
		return nil, err
	}
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	for _, network := range [...]string{"udp", "tcp"} {
		answer, err := exchange(ctx, network, server, packed)
		if err != nil {
			return nil, fmt.Errorf("DNS %s: %w", network, err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			return nil, fmt.Errorf("DNS answer: %w", err)
		}
		if m.ID != query.ID || !m.Response || len(m.Questions) != 1 || m.Questions[0] != query.Questions[0] {
			return nil, errors.New("DNS answer is to another question")
		}
		if m.Truncated && network == "udp" {
			continue
		}
		if m.RCode != dnsmessage.RCodeSuccess && m.RCode != dnsmessage.RCodeNameError {
			return nil, fmt.Errorf("DNS answer: %v", m.RCode)
		}
		return chain(host, m.Answers), nil
	}
	return nil, errors.New("DNS answer is cut short")
}

func exchange(ctx context.Context, network, server string, query []byte) ([]byte, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if network == "udp" {
		if _, err := conn.Write(query); err != nil {
			return nil, err
		}
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		return answer[:n], err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(conn, answer)
	return answer, err
}

// chain follows the aliases among answers, which may stand in any order.
func chain(host string, answers []dnsmessage.Resource) []string {
	var names []string
	for at := host; len(names) < maxChain; {
		next := ""
		for _, r := range answers {
			if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok && strings.EqualFold(strings.TrimSuffix(r.Header.Name.String(), "."), at) {
				next = strings.ToLower(strings.TrimSuffix(c.CNAME.String(), "."))
			}
		}
		if next == "" || next == host {
			break
		}
		names = append(names, next)
		at = next
	}
	return names
}

// mayBeAlias reports whether the host of p's reference, which is of the page's site,
// may be an alias of somebody else's.
func (p *Page) mayBeAlias() bool {
	host := p.ref.host()
	return !p.ref.ip && !p.wholeSite && string(host) != string(p.page.host()) && len(host) != len(p.site) && p.labels.n < maxLabels
}

// findAlias returns the rule of the first domain known that the host of p's
// reference is an alias of. Names of the site itself are passed over.
func (e *Engine) findAlias(p *Page, except without) *verdict {
	if !p.mayBeAlias() {
		return nil
	}
	for _, name := range e.aliases.names(p.ref.host(), p.labels.hashes[p.labels.n-1]) {
		p.alias = append(append(p.alias[:0], origins[noScheme][:textPad]...), name...)
		if p.own(p.alias[textPad:]) {
			continue
		}
		var l labels
		l.read(p.alias, textPad, len(p.alias))
		for _, layer := range [...]*layer{&e.catalogue, &e.breadth} {
			// Whom the site has its own files delivered by is no third party.
			if v := layer.findDomain(&l, p.alias[textPad:], except); v != nil && (v.category != consent.Unclassified || e.overridden(p, v, except) != v) {
				return v
			}
		}
	}
	return nil
}
