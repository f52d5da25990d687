package banner

import (
	"strings"
	"sync"

	"github.com/askfirst/askfirst/rules/consent"
)

// maxHosts is how many hosts' names are kept in the texts of receipts. Where a
// site answers to every host, anyone can make up more.
const maxHosts = 100

// hosts are those whose names stand in texts that were kept.
type hosts struct {
	mu    sync.Mutex
	known map[string]bool
}

// admit returns a host, empty where there are too many.
func (h *hosts) admit(host string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.known[host] {
		if len(h.known) >= maxHosts {
			return ""
		}
		if h.known == nil {
			h.known = map[string]bool{}
		}
		h.known[host] = true
	}
	return host
}

// shown returns the markup that a choice was made on, as it stood on the site's
// front page: with what the visitor read and which boxes were ticked, without
// the nonce, the way back and a box's size and title, which differ from page to
// page and would let a receipt tell where the visitor was. It is nil where
// nothing of ours was shown: the site asked in its own way, or the browser did
// by Global Privacy Control.
func (b *Banner) shown(v *Visit, a *answer, language int) []byte {
	host := b.hosts.admit(strings.ToLower(v.Host))
	view := View{Standing: v.Standing, Host: []byte(host)}
	if b.o.Uniform {
		// The page is the same for all: what has been chosen is not in it.
		view.Standing = consent.Stand(v.Standing.Regime, nil, consent.NoObjection)
	}
	switch {
	case a.Method == string(consent.ByAPI) || a.Method == string(consent.ByGPC):
		return nil
	case a.Shown == "preferences":
		p, _ := b.preferencesPage(&Visit{Standing: v.Standing, Host: host}, language)
		markup, err := b.renderPage(p)
		if err != nil {
			b.log.Error("banner: render", "template", p.Current, "error", err)
		}
		return markup
	case a.Shown == "box" && len(a.Categories) > 0:
		category, _ := consent.ParseCategory(a.Categories[0])
		k := boxKey{language: language, vendor: b.engine.Vendor(a.Vendor), category: category}
		return b.appendTree(nil, b.boxes.get(k), &view, &Box{})
	}
	k := askKey{language, view.Standing.Made, view.Standing.Regime, view.Standing.Objection}
	return b.appendTree(nil, b.asks.get(k), &view, nil)
}
