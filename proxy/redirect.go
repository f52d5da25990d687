package proxy

import (
	"bytes"
	"slices"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// redirects reports whether browsers go on to another address rather than show the
// answer (Fetch, section 2.2.6).
func (x *exchange) redirects() bool {
	switch x.answer.status {
	case 301, 302, 303, 307, 308:
		return len(x.answer.get(nameLocation)) > 0
	}
	return false
}

// heedLocation takes the address out of an answer that would lead what a page loads,
// an image, a script or a frame, from the site itself to somebody whom the visitor has
// not agreed to. A visitor who follows a link goes where it leads, but no browser does
// so for them ahead (Sec-Purpose: prefetch). Who does not say what the answer is for is
// no browser, but a player, say, of a podcast; or a browser over plain HTTP, which wants
// pictures by name. Where the choice tells, no other visitor is to get the answer, and
// without its address nobody is to keep it.
func (x *exchange) heedLocation() {
	if !x.rewrites || !x.redirects() {
		return
	}
	page, kind := x.rulesPage(), x.kind()
	leads := (x.dest == toPage || x.dest == unknown && !bytes.HasPrefix(x.request.get(nameAccept), []byte("image/"))) && x.request.get(nameSecPurpose) == nil
	always := consent.Set(0)
	if x.site.Unclassified == configs.PassUnclassified {
		always = always.With(consent.Unclassified)
	}
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if f.id != nameLocation {
			continue
		}
		d := x.site.engine.URL(page, f.value, kind)
		allowed := d.Allowed(x.standing.Granted) || x.once != nil && d.Vendor == x.once && !d.Never
		x.holds = x.holds || !allowed || !d.Allowed(always)
		if leads {
			continue
		}
		fate := consent.Pass
		if !allowed {
			fate = consent.Strip
		}
		x.sight(page, d, kind, fate)
		if !allowed {
			x.answer.fields = slices.DeleteFunc(x.answer.fields, func(f field) bool { return f.id == nameLocation || f.id == nameCacheControl })
			x.answer.fields = append(x.answer.fields, field{nameCacheControl, []byte("Cache-Control"), []byte("no-store")})
			return
		}
	}
}

// kind is what the browser says that it wants the answer for.
func (x *exchange) kind() rules.Kind {
	switch string(x.request.get(nameSecFetchDest)) {
	case "script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet":
		return rules.Script
	case "style", "xslt":
		return rules.Style
	case "image":
		return rules.Image
	case "font":
		return rules.Font
	case "audio", "video", "track":
		return rules.Media
	case "iframe", "frame", "fencedframe":
		return rules.Frame
	case "embed", "object":
		return rules.Object
	case "empty":
		return rules.Connect
	}
	return rules.Other
}
