package demo

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Hit is one request that reached a third party.
type Hit struct {
	// Host is the third party's real name, without Suffix and port.
	Host string
	Path string
	// Cookies are the names of the cookies that came along.
	Cookies []string
}

// Contact sums up what reached one host.
type Contact struct {
	Host     string
	Path     string // of the first request
	Requests int
	// Cookies is how many cookies the host has set.
	Cookies int
}

// Parties stands in for every third party at once, told apart by Host. It
// answers as tags do: scripts that set cookies, send beacons and fill their
// widgets, frames, images and style sheets; and it counts what reached it.
type Parties struct {
	mu   sync.Mutex
	hits []Hit
	set  map[string]int
}

// maxHits bounds what is remembered of single requests.
const maxHits = 10_000

// NewParties returns third parties that nothing has reached yet.
func NewParties() *Parties { return &Parties{set: map[string]int{}} }

// Hits returns what has reached the third parties, in order.
func (p *Parties) Hits() []Hit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hits)
}

// Forget starts the counting anew.
func (p *Parties) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hits, p.set = nil, map[string]int{}
}

// Contacts sums the hits up by host, the most contacted first.
func (p *Parties) Contacts() []Contact {
	p.mu.Lock()
	defer p.mu.Unlock()
	index := map[string]int{}
	contacts := []Contact{}
	for _, h := range p.hits {
		i, ok := index[h.Host]
		if !ok {
			i = len(contacts)
			index[h.Host] = i
			contacts = append(contacts, Contact{Host: h.Host, Path: h.Path, Cookies: p.set[h.Host]})
		}
		contacts[i].Requests++
	}
	slices.SortStableFunc(contacts, func(a, b Contact) int { return b.Requests - a.Requests })
	return contacts
}

func (p *Parties) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	suffix := ""
	if name, ok := strings.CutSuffix(host, Suffix); ok {
		host, suffix = name, strings.TrimPrefix(r.Host, name)
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	origin := func(host string) string { return scheme + "://" + host + suffix }

	t := tagAt(host, r.URL.Path)
	p.count(r, host, len(t.cookies))
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	for _, name := range t.cookies {
		cookie := name + "=demo; Path=/; Max-Age=31536000"
		if r.TLS != nil {
			cookie += "; Secure; SameSite=None"
		}
		h.Add("Set-Cookie", cookie)
	}
	switch dest := r.Header.Get("Sec-Fetch-Dest"); {
	case t.answer == answerScript, t.answer == answerAny && dest == "script":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		fmt.Fprint(w, t.code(host, r.URL.Path, origin))
	case t.answer == answerFrame, t.answer == answerAny && (dest == "iframe" || dest == "document"):
		h.Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, framePage, host, host)
	case t.answer == answerStyle, t.answer == answerAny && dest == "style":
		h.Set("Content-Type", "text/css; charset=utf-8")
		fmt.Fprintf(w, "/* %s */\n", host)
	case dest == "" || dest == "empty":
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Content-Type", "image/gif")
		w.Write(clearGIF)
	}
}

func (p *Parties) count(r *http.Request, host string, cookies int) {
	hit := Hit{Host: host, Path: r.URL.Path}
	for _, c := range r.Cookies() {
		hit.Cookies = append(hit.Cookies, c.Name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.hits) < maxHits {
		p.hits = append(p.hits, hit)
		p.set[host] += cookies
	}
}

const framePage = `<!doctype html>
<meta charset="utf-8">
<title>%s</title>
<style>
body{margin:0;min-height:100vh;display:grid;place-items:center;background:#14323f;color:#fff;font:600 1rem/1.4 system-ui,sans-serif;text-align:center}
</style>
<p>%s<br><small>a stand-in, now contacted</small></p>
`

// clearGIF is a transparent image of one pixel.
var clearGIF = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
