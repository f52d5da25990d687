package proxy

import (
	"bytes"

	"golang.org/x/net/html"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// isForChildren reports whether the site says that what is at a path is for children.
func (s *site) isForChildren(path []byte) bool {
	for _, glob := range s.UnderAge.Paths {
		if rules.MatchPath(glob, path) {
			return true
		}
	}
	return false
}

// isChild reports whether the site's cookie in a Cookie field says that the
// visitor is a child.
func (x *exchange) isChild(cookies []byte) bool {
	u := &x.site.UnderAge
	if u.Cookie == "" {
		return false
	}
	value, ok := findCookie(cookies, u.Cookie)
	return ok && (u.CookieValue == "" || string(value) == u.CookieValue)
}

// showChild makes the page for a child, whoever asked for it: its head too grants
// nothing.
func (x *exchange) showChild() {
	x.once, x.shown = nil, consent.StandChild(x.shown.Objection)
}

// isForChildren reports whether the page says so itself, as early as browsers
// look for its encoding. What is read ahead for that is returned by next.
func (c *charsetReader) isForChildren() bool {
	var ahead []byte
	var err error
	for len(ahead) < prescan && err == nil {
		var p []byte
		p, err = c.next()
		ahead = append(ahead, p...)
	}
	c.ahead = ahead
	return containsFold(ahead, "askfirst-audience") && saysChild(ahead[:min(len(ahead), prescan)])
}

// saysChild reads the beginning of a page.
func saysChild(page []byte) bool {
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			mark, says := "", map[string]string{}
			for _, a := range t.Attr {
				says[a.Key] = a.Val
			}
			switch t.Data {
			case "html":
				mark = says["data-askfirst-audience"]
			case "meta":
				if says["name"] == "askfirst-audience" {
					mark = says["content"]
				}
			case "body":
				return false
			}
			if mark == "child" {
				return true
			}
		}
	}
}
