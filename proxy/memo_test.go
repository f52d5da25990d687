package proxy

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// holdingCounter stops the first who counts until it is let go on.
type holdingCounter struct {
	*tally
	once    sync.Once
	reached chan struct{}
	goOn    chan struct{}
	fails   bool
}

func (c *holdingCounter) Count(site string, page []byte, granted consent.Set, tags []Sighting) {
	first := false
	c.once.Do(func() { first = true })
	if first {
		close(c.reached)
		<-c.goOn
		if c.fails {
			panic("a fault of a test's own")
		}
	}
	c.tally.Count(site, page, granted, tags)
}

// TestOneFlight has two visitors ask for one cold page at once: it is made once,
// and for the second all the same where that comes to nothing.
func TestOneFlight(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("fails %v", fails), func(t *testing.T) {
			s := newStage(t, always(t, answerWith([]byte(page), isPage)))
			c := &holdingCounter{tally: s.counted, reached: make(chan struct{}), goOn: make(chan struct{}), fails: fails}
			s.proxy.o.Counter = c
			first, second := s.dial(), s.dial()
			first.send(get("/"))
			<-c.reached
			second.send(get("/"))
			for !somebodyWaits(s.proxy.memo) {
				time.Sleep(time.Millisecond)
			}
			close(c.goOn)
			got := readAll(t, second.answer("GET").Body)
			held(t, got)
			if !fails {
				if other := readAll(t, first.answer("GET").Body); other != got {
					t.Error("the two have different pages")
				}
			}
			if fails {
				first.rest() // until it is cut off
			}
			shared, pages := s.proxy.metrics.shared.Load(), 0
			pages, _ = s.proxy.memo.size()
			if want := !fails; (shared == 1) != want || (pages == 1) != want {
				t.Errorf("%d shared, %d remembered", shared, pages)
			}
			if fails && s.proxy.metrics.faults.Load() != 1 {
				t.Error("the first did not fail")
			}
			for i := range s.proxy.memo.shards {
				shard := &s.proxy.memo.shards[i]
				shard.mu.Lock()
				if n := len(shard.flights); n != 0 {
					t.Errorf("%d flights are left", n)
				}
				shard.mu.Unlock()
			}
		})
	}
}

func somebodyWaits(m *memo) bool {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, f := range s.flights {
			if f.waiting {
				s.mu.Unlock()
				return true
			}
		}
		s.mu.Unlock()
	}
	return false
}

// TestDrafts asks for a page that changes each time: it must be as a proxy makes
// it that remembers nothing, for each choice and coding, and remembered pages
// must not make room for it.
func TestDrafts(t *testing.T) {
	var n atomic.Int64
	body := func() []byte {
		v := n.Load()
		token := strings.Repeat(fmt.Sprint(v), 1+int(v%3))
		b := strings.Replace(page, "</head>", `<meta name="csrf-token" content="`+token+`"></head>`, 1)
		for i := range 200 {
			b += fmt.Sprintf(`<p class="card">card %d</p><img src="https://www.facebook.com/tr?id=%d">`, i, i)
			if int64(i)%50 == v%50 {
				b += `<iframe src="https://www.youtube.com/embed/` + token + `"></iframe>`
			}
		}
		return []byte(b + "<p>" + token)
	}
	upstream := each(t, func(p *peer, head string) {
		for _, coding := range []string{"gzip", "br"} {
			if strings.Contains(head, "/"+coding) {
				p.send(answerWith(encode(t, coding, body()), isPage, "Connection: close", "Content-Encoding: "+coding))
				return
			}
		}
		p.send(answerWith(body(), isPage, "Connection: close"))
	})
	s := newStage(t, upstream)
	forgetful := newStage(t, upstream, func(c *configs.Config) { c.Limits.Memo = 0 })
	for range 8 {
		n.Add(1)
		visitor, control := s.dial(), forgetful.dial()
		for _, target := range []string{"/", "/gzip", "/br"} {
			for _, choice := range []string{choiceCookie(0), choiceCookie(consent.All)} {
				for _, coding := range []string{"", "gzip", "br", "zstd"} {
					request := get(target, "Accept-Encoding: "+coding, "Cookie: "+choice)
					got := decode(t, coding, []byte(readAll(t, visitor.send(request).answer("GET").Body)))
					want := decode(t, coding, []byte(readAll(t, control.send(request).answer("GET").Body)))
					if got != want {
						t.Fatalf("version %d at %s in %q: another page", n.Load(), target, coding)
					}
				}
			}
		}
	}
	if s.proxy.metrics.revised.Load() == 0 || forgetful.proxy.metrics.revised.Load() != 0 {
		t.Error("no page was made of the one before")
	}
	if pages, _ := s.proxy.drafts.size(); pages != 6 {
		t.Errorf("%d drafts, want one for each target and choice", pages)
	}
	s.counted.mu.Lock()
	defer s.counted.mu.Unlock()
	forgetful.counted.mu.Lock()
	defer forgetful.counted.mu.Unlock()
	if a, b := strings.Join(s.counted.tags, "\n"), strings.Join(forgetful.counted.tags, "\n"); a != b {
		t.Errorf("%d tags counted, want %d", len(s.counted.tags), len(forgetful.counted.tags))
	}
}

// all returns what is remembered.
func (m *memo) all() (pages []*finished) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		pages = append(pages, s.pages.Values()...)
		s.mu.Unlock()
	}
	return pages
}

// TestRefinery refines a page in each coding: it is smaller, the same, and
// accounted for.
func TestRefinery(t *testing.T) {
	body := page
	for i := range 800 {
		body += fmt.Sprintf(`<p class="card-%d">%s</p>`, i, random(20))
	}
	s := newStage(t, always(t, answerWith([]byte(body), isPage)))
	for _, coding := range []string{"gzip", "br", "zstd"} {
		ask := func() (decoded string, size int) {
			data := readAll(t, s.dial().send(get("/", "Accept-Encoding: "+coding)).answer("GET").Body)
			return decode(t, coding, []byte(data)), len(data)
		}
		want, before := ask()
		for range 2 {
			ask()
		}
		var f *finished
		for _, g := range s.proxy.memo.all() {
			if codingNames[g.key[0]] == coding {
				f = g
			}
		}
		if f == nil {
			t.Fatalf("%s: nothing was remembered", coding)
		}
		s.proxy.refinery.refine(f)
		s.proxy.refinery.refine(f) // it is not there any more
		got, after := ask()
		if got != want {
			t.Errorf("%s: another page", coding)
		}
		if after >= before {
			t.Errorf("%s: %d bytes, %d before", coding, after, before)
		}
		sum := 0
		for _, f := range s.proxy.memo.all() {
			sum += f.size()
		}
		if _, held := s.proxy.memo.size(); held != sum {
			t.Errorf("%s: %d bytes counted, %d held", coding, held, sum)
		}
	}
}

// TestRefineryWorks asks for a page until it is refined.
func TestRefineryWorks(t *testing.T) {
	body := page + strings.Repeat("<p>more of it</p>", 3000)
	s := newStage(t, always(t, answerWith([]byte(body), isPage)))
	p := s.dial()
	for range refineAfter + 2 {
		readAll(t, p.send(get("/", "Accept-Encoding: br")).answer("GET").Body)
	}
	if n := s.proxy.metrics.hits.Load(); n != refineAfter {
		t.Fatalf("%d hits", n)
	}
	for begun := time.Now(); s.proxy.metrics.refined.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("it is not refined")
		}
	}
	held(t, decode(t, "br", []byte(readAll(t, s.dial().send(get("/", "Accept-Encoding: br")).answer("GET").Body))))
}

// TestRefineryQueue has more pages asked for than may wait.
func TestRefineryQueue(t *testing.T) {
	r := refinery{begin: new(sync.Once), pages: make(chan *finished, 2)}
	r.begin.Do(func() {}) // nobody works
	var pages []*finished
	for range 4 {
		pages = append(pages, new(finished))
	}
	for range refineAfter {
		for _, f := range pages {
			r.note(f, brotli)
			r.note(f, identity)
		}
	}
	if len(r.pages) != 2 || pages[0].taken.Load() != refineAfter || pages[3].taken.Load() != 0 {
		t.Errorf("%d wait", len(r.pages))
	}
}

func TestCloneSightings(t *testing.T) {
	text := []byte("hostpath")
	clones := cloneSightings([]Sighting{{Host: text[:4], Path: text[4:]}, {}})
	copy(text, bytes.Repeat([]byte{'x'}, len(text)))
	if string(clones[0].Host) != "host" || string(clones[0].Path) != "path" || len(clones) != 2 {
		t.Errorf("%v", clones)
	}
}

func TestSummed(t *testing.T) {
	a, b := []byte("a.example"), []byte("b.example")
	sum := summed([]Sighting{{Host: a}, {Host: b}, {Host: a, Fate: consent.Hold}, {Host: a, Fate: consent.Hold}, {Host: b}, {Host: b, More: 2}})
	if len(sum) != 3 || sum[0].More != 0 || sum[1].More != 4 || sum[2].More != 1 || sum[2].Fate != consent.Hold {
		t.Errorf("%+v", sum)
	}
}
