package proxy

import (
	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

const ownCookie = banner.OwnCookie

// show works out for whom the page is made: for the visitor, or for nobody in
// particular. A page for nobody holds no byte that depends on who asks, but for
// the encoding: a cache that heeds nothing else may give it to anybody. What its
// visitor has agreed to is released by the guard; one who chose without a script
// says so by a cookie, and gets pages of their own.
func (x *exchange) show(own bool) {
	x.shown = x.standing
	if x.shared = x.site.Caching == configs.Uniform && !own && x.once == nil; x.shared {
		if x.shown = x.site.stand(0, nil, consent.NoObjection); x.standing.Child {
			x.shown = consent.StandChild(consent.NoObjection)
		}
		x.part = false
	}
}

// mayBeShared reports whether a page may be kept as the upstream allows: it is
// made for all, and brings no cookie for one.
func (x *exchange) mayBeShared() bool {
	if !x.shared || x.holds {
		return false
	}
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if f.id != nameSetCookie {
			continue
		}
		name, _, _, _ := cutCookie(f.value)
		if x.site.engine.Cookie(name).Allowed(x.standing.Granted) || expires(f.value) {
			return false
		}
	}
	return true
}

// acceptLanguage is what the visitor would rather read, where the page may heed
// it.
func (x *exchange) acceptLanguage() []byte {
	if x.shared {
		return nil
	}
	return x.request.get(nameAcceptLanguage)
}

// wayBack is the address that the page's forms lead back to. Of a page for all
// it is the path alone: a cache may leave the query out of its key.
func (x *exchange) wayBack() []byte {
	if x.shared {
		return x.path()
	}
	return x.target
}
