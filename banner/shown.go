package banner

import (
	"crypto/sha256"
	"fmt"
	"strconv"
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

// editionOf returns what tells apart how a site asks before and after a change: the
// policy's revision, and a hash of what the question is made of. A page brings it
// along with a choice, as it may have been open, or in a cache, since before.
func (b *Banner) editionOf() string {
	h := sha256.New()
	fmt.Fprintln(h, b.o.Title, b.o.PolicyURL, b.o.Logo, b.offered, b.askCSS, b.boxCSS, b.pageCSS)
	for _, l := range b.languages.list {
		fmt.Fprintln(h, l.tag, l.texts)
	}
	return fmt.Sprintf("%d.%.4x", b.o.Revision, h.Sum(nil))
}

// revisionOf returns the revision of the policy that a choice was made under. That
// of an older one does not stand: the visitor is asked again.
func (b *Banner) revisionOf(a *answer) uint32 {
	_, edition, _ := strings.Cut(a.Shown, ".")
	revision, _, _ := strings.Cut(edition, ".")
	if n, err := strconv.ParseUint(revision, 10, 32); err == nil && n > 0 {
		return uint32(n)
	}
	return b.o.Revision
}

// shown returns the markup that a choice was made on, as it stood on the site's
// front page: with what the visitor read and which boxes were ticked, without
// the nonce, the way back and a box's size and title, which differ from page to
// page and would let a receipt tell where the visitor was. It is nil where
// nothing of ours was shown: the site asked in its own way, or the browser did
// by Global Privacy Control; and where what was shown is no longer known, as the
// page is of another edition.
func (b *Banner) shown(v *Visit, a *answer, language int) []byte {
	kind, edition, told := strings.Cut(a.Shown, ".")
	if told && edition != b.edition {
		return nil
	}
	host := b.hosts.admit(strings.ToLower(v.Host))
	view := View{Standing: v.Standing, Host: []byte(host)}
	if b.o.Uniform {
		// The page is the same for all: what has been chosen is not in it.
		view.Standing = consent.Stand(v.Standing.Regime, nil, consent.NoObjection)
	}
	switch {
	case a.Method == string(consent.ByAPI) || a.Method == string(consent.ByGPC):
		return nil
	case kind == "preferences":
		p, _ := b.preferencesPage(&Visit{Standing: v.Standing, Host: host}, language)
		markup, err := b.renderPage(p)
		if err != nil {
			b.log.Error("banner: render", "template", p.Current, "error", err)
		}
		return markup
	case kind == "box" && len(a.Categories) > 0:
		category, _ := consent.ParseCategory(a.Categories[0])
		k := boxKey{language: language, vendor: b.engine.Vendor(a.Vendor), category: category}
		return b.appendTree(nil, b.boxes.get(k), &view, &Box{})
	}
	k := askKey{language, view.Standing.Made, view.Standing.Regime, view.Standing.Objection}
	return b.appendTree(nil, b.asks.get(k), &view, nil)
}
