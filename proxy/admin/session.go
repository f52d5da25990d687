package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/askfirst/askfirst/configs"
)

const (
	// sessionIdle and sessionAge are how long somebody stays signed in without
	// asking for anything, and at all.
	sessionIdle = time.Hour
	sessionAge  = 12 * time.Hour
	// maxSessions bounds how many are signed in; the one least used goes first.
	maxSessions = 1000
	// maxHashing bounds how many tokens are hashed at once, each in 64 MiB.
	maxHashing = 2
)

// identity is who a request comes from. Each request has one once it is let in.
type identity struct {
	name     string
	operator bool
	token    string // of forms: pages of other origins cannot read it
	signed   bool   // in by a session, which can be ended
}

// session is a sign-in by token.
type session struct {
	identity
	begun, used time.Time
}

// doorkeeper tells who a request comes from.
type doorkeeper struct {
	access  configs.AdminAccess
	trusted []netip.Prefix // proxies in front that name the client
	now     func() time.Time
	secret  []byte // form tokens of those without a session are made of it
	turns   chan struct{}
	tries   tries

	mu       sync.Mutex
	sessions map[string]*session
	proven   map[[sha256.Size]byte]*configs.Person // clients, names and tokens that were found right
}

func newDoorkeeper(access configs.AdminAccess, trusted []netip.Prefix, now func() time.Time) *doorkeeper {
	d := &doorkeeper{
		access:   access,
		trusted:  trusted,
		now:      now,
		secret:   []byte(rand.Text()),
		turns:    make(chan struct{}, maxHashing),
		sessions: make(map[string]*session),
		proven:   make(map[[sha256.Size]byte]*configs.Person),
	}
	d.tries.now = now
	return d
}

// open reports whether nobody needs to sign in.
func (d *doorkeeper) open() bool { return len(d.access.People) == 0 }

// identify returns who r comes from, nil for somebody who has not signed in.
// A name and token in Authorization (RFC 7617) can only read and have the
// configuration read: browsers send them along with requests that other sites
// made.
func (d *doorkeeper) identify(r *http.Request) *identity {
	if d.open() {
		return &identity{name: "operator", operator: true, token: d.formToken("")}
	}
	if p := d.certified(r); p != nil {
		return &identity{name: p.Name, operator: p.Role == configs.Operator, token: d.formToken(p.Name)}
	}
	if c, err := r.Cookie(d.cookieName()); err == nil {
		if s := d.session(c.Value); s != nil {
			return &s.identity
		}
	}
	if name, token, ok := r.BasicAuth(); ok && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Path == "/reload") {
		if p, _ := d.prove(r.Context(), d.client(r), name, token); p != nil {
			return &identity{name: p.Name, operator: p.Role == configs.Operator}
		}
	}
	return nil
}

// certified returns who shows a client certificate. That it is of a believed
// authority has been seen by TLS.
func (d *doorkeeper) certified(r *http.Request) *configs.Person {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	name := r.TLS.VerifiedChains[0][0].Subject.CommonName
	for i := range d.access.People {
		if p := &d.access.People[i]; p.Certificate != "" && p.Certificate == name {
			return p
		}
	}
	return nil
}

func (d *doorkeeper) formToken(name string) string {
	sum := sha256.Sum256(append([]byte(name+"\x00"), d.secret...))
	return base64url(sum[:18])
}

// secure reports whether browsers reach the pages by https.
func (d *doorkeeper) secure() bool { return d.access.Certificate != "" || d.access.BehindTLS }

func (d *doorkeeper) cookieName() string {
	if d.secure() {
		return "__Host-askfirst-admin"
	}
	return "askfirst-admin"
}

func (d *doorkeeper) session(id string) *session {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[id]
	if s == nil {
		return nil
	}
	now := d.now()
	if now.Sub(s.used) > sessionIdle || now.Sub(s.begun) > sessionAge {
		delete(d.sessions, id)
		return nil
	}
	s.used = now
	return s
}

// begin signs somebody in and returns the cookie that says so.
func (d *doorkeeper) begin(p *configs.Person) *http.Cookie {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sessions) >= maxSessions {
		oldest := ""
		for id, s := range d.sessions {
			if oldest == "" || s.used.Before(d.sessions[oldest].used) {
				oldest = id
			}
		}
		delete(d.sessions, oldest)
	}
	id := rand.Text()
	d.sessions[id] = &session{
		identity: identity{name: p.Name, operator: p.Role == configs.Operator, token: rand.Text(), signed: true},
		begun:    d.now(), used: d.now(),
	}
	return d.cookie(id, 0)
}

// end signs out, and returns the cookie that takes the other back.
func (d *doorkeeper) end(r *http.Request) *http.Cookie {
	if c, err := r.Cookie(d.cookieName()); err == nil {
		d.mu.Lock()
		delete(d.sessions, c.Value)
		d.mu.Unlock()
	}
	return d.cookie("", -1)
}

func (d *doorkeeper) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: d.cookieName(), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: d.secure(), SameSite: http.SameSiteStrictMode}
}

// prove returns whom name and token belong to; nil where they are wrong, or
// where that client has been wrong too often, or that name has been tried from
// many: then it may be tried again after wait.
func (d *doorkeeper) prove(ctx context.Context, client, name, token string) (p *configs.Person, wait time.Duration) {
	client = neighbourhood(client)
	// What a client has proven counts for that client alone, and not while it
	// waits: nobody else could tell by it, unhashed and without limit, whether a
	// guess is right.
	key := sha256.Sum256([]byte(client + "\x00" + name + "\x00" + token))
	if wait := d.tries.wait(client); wait > 0 {
		return nil, wait
	}
	d.mu.Lock()
	p = d.proven[key]
	d.mu.Unlock()
	if p != nil {
		return p, 0
	}
	named := "name " + name
	if wait := max(d.tries.wait(client), d.tries.wait(named)); wait > 0 {
		return nil, wait
	}
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return nil, time.Second
	}
	// Those who were sent at once have waited here while the first ones failed.
	if wait := max(d.tries.wait(client), d.tries.wait(named)); wait > 0 {
		return nil, wait
	}
	// An unknown name takes as long as a wrong token.
	hash := decoy()
	for i := range d.access.People {
		if q := &d.access.People[i]; subtle.ConstantTimeCompare([]byte(q.Name), []byte(name)) == 1 && !q.Token.IsZero() {
			p, hash = q, q.Token
		}
	}
	if !hash.Matches(token) || p == nil {
		return nil, max(d.tries.failed(client, freeTries, longestWait), d.tries.failed(named, freeTriesByName, longestWaitByName))
	}
	d.tries.succeeded(client)
	d.tries.succeeded(named)
	d.mu.Lock()
	if len(d.proven) >= maxSessions {
		clear(d.proven)
	}
	d.proven[key] = p
	d.mu.Unlock()
	return p, 0
}

// known returns name if somebody has it. Others are not for the log: they may be
// a token that was typed into the wrong field.
func (d *doorkeeper) known(name string) string {
	if slices.ContainsFunc(d.access.People, func(p configs.Person) bool { return p.Name == name }) {
		return name
	}
	return "(unknown)"
}

var decoy = sync.OnceValue(func() configs.TokenHash {
	_, hash := configs.NewToken()
	return hash
})

// tries counts failed sign-ins by client, and by name for guesses that are
// spread over many clients: after the free ones each further failure doubles the
// time until the next try.
type tries struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*failures
}

type failures struct {
	count int
	until time.Time
}

const (
	freeTries    = 4
	firstWait    = 2 * time.Second
	longestWait  = 15 * time.Minute
	maxTroubling = 10_000 // clients and names remembered

	// A name waits less: others may not keep its owner out for long. Where the
	// owner has signed in before they come in at once.
	freeTriesByName   = 20
	longestWaitByName = time.Minute
)

// neighbourhood is whose tries are counted together: an IPv4 address, the /64
// of IPv6.
func neighbourhood(client string) string {
	if a, err := netip.ParseAddr(client); err == nil && a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return client
}

func (t *tries) wait(client string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.by[client]; f != nil {
		return max(f.until.Sub(t.now()), 0)
	}
	return 0
}

func (t *tries) failed(client string, free int, longest time.Duration) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	f := t.by[client]
	if f == nil {
		if t.by == nil || len(t.by) >= maxTroubling {
			t.by = forgetful(t.by, now)
		}
		f = &failures{}
		t.by[client] = f
	}
	f.count++
	if f.count >= free {
		wait = min(firstWait<<min(f.count-free, 16), longest)
	}
	f.until = now.Add(wait)
	return wait
}

// forgetful keeps those who still wait; where all of them do, none: a flood must
// not fill the memory.
func forgetful(by map[string]*failures, now time.Time) map[string]*failures {
	kept := make(map[string]*failures)
	for client, f := range by {
		if f.until.After(now) && len(kept) < maxTroubling/2 {
			kept[client] = f
		}
	}
	return kept
}

func (t *tries) succeeded(client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, client)
}

// signInPage is what the sign-in shows.
type signInPage struct {
	Name, Next, Wrong string
}

// signIn asks for name and token, and looks at what is sent.
func (a *Admin) signIn(w http.ResponseWriter, r *http.Request) {
	p := &signInPage{Next: ownPath(r.FormValue("next"))}
	v := &view{Template: "signin", Title: "Sign in", SignIn: p, Timeless: true}
	if r.Method == http.MethodPost {
		p.Name = r.PostFormValue("name")
		client := a.door.client(r)
		person, wait := a.door.prove(r.Context(), client, p.Name, strings.TrimSpace(r.PostFormValue("token")))
		if person != nil {
			a.door.end(r) // whoever sat here before
			a.note(r, person.Name, "sign in", "", string(person.Role))
			http.SetCookie(w, a.door.begin(person))
			http.Redirect(w, r, p.Next, http.StatusSeeOther)
			return
		}
		a.o.Log.Warn("sign-in refused", "name", a.door.known(p.Name), "from", client, "wait", wait.Round(time.Second))
		p.Wrong, v.Status = "Name or token are wrong.", http.StatusForbidden
		if wait > 0 {
			p.Wrong, v.Status = "Name or token are wrong, or were so too often: try again in "+since(max(wait, time.Second))+".", http.StatusTooManyRequests
		}
	}
	a.render(w, &request{Request: r, who: &identity{}}, v)
}

func (a *Admin) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, a.door.end(r))
	a.note(r, identityOf(r).name, "sign out", "", "")
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// ownPath returns path if it leads to a page of ours, "/" otherwise.
func ownPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
		return "/"
	}
	return path
}
