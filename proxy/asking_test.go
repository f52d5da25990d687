package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// asks reports whether a visitor who made a choice at the given time, under a
// revision, is asked again on a page.
func (s *stage) asks(path string, at time.Time, revision uint32) bool {
	s.t.Helper()
	c := consent.Choice{Revision: revision, Categories: consent.SetOf(consent.Analytics), At: at, ID: consent.NewID()}
	r := s.dial().send(get(path, "Cookie: askfirst="+string(c.AppendCookie(nil)))).answer("GET")
	body := readAll(s.t, r.Body)
	ask, made := strings.Contains(body, `data-askfirst-state="ask"`), strings.Contains(body, `data-askfirst-state="made"`)
	if ask == made {
		s.t.Fatalf("%s: the banner is in no state: %.300s", path, body)
	}
	return ask
}

const analyticsPage = `<!doctype html><html><head><title>a</title></head><body><script src="https://static.hotjar.com/c/hotjar-1.js"></script></body></html>`

// A choice stands for as long as the site says, and under the policy revision
// that it was made under.
func TestAskedAgainWhenTheChoiceExpires(t *testing.T) {
	s := newStage(t, always(t, answerWith([]byte(analyticsPage), isPage)), func(c *configs.Config) {
		c.Sites[0].Revision, c.Sites[0].Cookie.MaxAge = 3, 30*24*time.Hour
	})
	for _, c := range []struct {
		age      time.Duration
		revision uint32
		asked    bool
	}{
		{0, 3, false}, {29 * 24 * time.Hour, 3, false}, {31 * 24 * time.Hour, 3, true}, {time.Hour, 2, true}, {time.Hour, 4, true}, {-time.Hour, 3, true},
	} {
		if got := s.asks("/", time.Now().Add(-c.age), c.revision); got != c.asked {
			t.Errorf("after %v under revision %d: asked %v", c.age, c.revision, got)
		}
	}
}

// Where the site says so, those who chose before it used a vendor of a category
// are asked again once it does; those who chose since are not.
func TestAskedAgainWhenACategoryAppears(t *testing.T) {
	social := strings.Replace(analyticsPage, "static.hotjar.com/c/hotjar-1.js", "platform.twitter.com/widgets.js", 1)
	upstream := each(t, func(p *peer, head string) {
		if strings.HasPrefix(head, "GET /social ") {
			p.send(answerWith([]byte(social), isPage))
		} else {
			p.send(answerWith([]byte(analyticsPage), isPage))
		}
	})
	for _, option := range []bool{true, false} {
		t.Run(fmt.Sprint(option), func(t *testing.T) {
			s := newStage(t, upstream, func(c *configs.Config) { c.Sites[0].AskOnNewCategory = option })
			news := s.proxy.sites.Load().all[0].news
			minute := time.Now().Add(-time.Minute)
			s.asks("/", minute, 1)
			if option {
				news.newest.Store(minute.Unix()) // as if the first page had been seen then
			}
			first := s.dial().send(get("/")).answer("GET")
			if s.asks("/", minute, 1) || s.asks("/social", minute, 1) {
				t.Error("asked again before the category was known to be there")
			}
			if got := s.asks("/", minute, 1); got != option {
				t.Errorf("asked again after a new category appeared: %v", got)
			}
			if s.asks("/", time.Now(), 1) {
				t.Error("asked again though the choice was made since")
			}
			// A page from before is another one than that from since.
			again := s.dial().send(get("/", "If-None-Match: "+first.Header.Get("ETag"))).answer("GET")
			body := readAll(t, again.Body)
			if said := strings.Contains(body, fmt.Sprintf(`data-since="%d"`, news.since())); said != option {
				t.Errorf("the guard is told since when: %v", said)
			}
			// Another vendor of a known category is no news.
			before := news.since()
			s.dial().send(get("/social")).answer("GET")
			if news.since() != before {
				t.Error("a known category is taken for a new one")
			}
		})
	}
}
