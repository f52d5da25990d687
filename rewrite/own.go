package rewrite

import (
	"bytes"
	"encoding/base64"
	"slices"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// SourceMark is the source of a decision that the page itself made, by a mark
// on the element.
const SourceMark = "mark"

var ownRules = func() (r [consent.Unclassified + 1]rules.Rule) {
	for c := range r {
		r[c] = rules.Rule{Source: SourceMark, Text: `data-category="` + consent.Category(c).String() + `"`}
	}
	return r
}()

// readOwn takes the mark that the page itself put on the element.
func (rw *Rewriter) readOwn() {
	if a := rw.find(attrCategory); a >= 0 {
		if c, ok := consent.ParseCategory(rw.valueOf(a)); ok {
			rw.tag.take(c)
		}
	}
}

func (t *tag) take(c consent.Category) {
	t.own, t.owned = rules.Decision{Category: c, Rule: &ownRules[c]}, true
}

// withOwn returns d with the category that the page itself named.
func (rw *Rewriter) withOwn(d rules.Decision) rules.Decision {
	own := rw.tag.own
	own.Vendor, own.Party = d.Vendor, d.Party
	if own.Vendor != nil && own.Vendor.Container {
		// A container would be released with any category.
		own.Vendor = nil
	}
	return own
}

// otherWords are the words by which other consent tools name categories, in
// the order of otherCategories.
var otherWords = scan.NewNames([]string{"",
	"necessary", "essential", "essentials", "required", "strictly-necessary", "strictly_necessary", "c0001",
	"functional", "functionality", "functionalities", "preferences", "preference", "convenience", "experience", "comfort", "c0003",
	"analytics", "analytic", "statistics", "statistic", "performance", "measurement", "analytical", "c0002",
	"marketing", "advertising", "advertisement", "advertisements", "ads", "ad", "targeting", "tracking", "c0004",
	"social", "social-media", "social_media", "socialmedia", "external-media", "external_media", "media", "c0005"})

func otherCategory(word []byte) (consent.Category, bool) {
	switch n := otherWords.Find(word, 0, len(word)); {
	case n == 0:
		return 0, false
	case n <= 7:
		return consent.Necessary, true
	case n <= 16:
		return consent.Functional, true
	case n <= 24:
		return consent.Analytics, true
	case n <= 33:
		return consent.Marketing, true
	}
	return consent.Social, true
}

// iubendaPurposes are the categories of iubenda's purposes 1 to 5.
var iubendaPurposes = [...]consent.Category{consent.Necessary, consent.Functional, consent.Functional, consent.Analytics, consent.Marketing}

// readScriptMarks takes the marks of other consent tools on a script: what
// they would have waited for is what we wait for. Of several categories it is
// the last that the visitor has not agreed to.
func (rw *Rewriter) readScriptMarks() {
	t := &rw.tag
	if t.owned {
		return
	}
	found := false
	var worst consent.Category
	note := func(c consent.Category, ok bool) {
		if ok && (!found || !rw.doc.Granted.Has(c) && (rw.doc.Granted.Has(worst) || c > worst)) {
			found, worst = true, c
		}
	}
	for i, id := range t.ids {
		switch id {
		case attrCategory, attrCookieConsent, attrCookieCategory, attrCookieYes, attrCLICategory, attrOsano:
			for list := rw.valueOf(i); len(list) > 0; {
				var word []byte
				word, list = nextMark(list)
				note(otherCategory(bytes.TrimPrefix(word, cookieYesPrefix)))
			}
		case attrPurposes:
			for _, c := range rw.valueOf(i) {
				if '1' <= c && c <= '5' {
					note(iubendaPurposes[c-'1'], true)
				}
			}
		case attrClass:
			for list := rw.valueOf(i); len(list) > 0; {
				var word []byte
				word, list = nextWord(list)
				rest, ok := bytes.CutPrefix(word, optanonPrefix)
				for ok && len(rest) > 0 {
					var group []byte
					group, rest, _ = bytes.Cut(rest, dash)
					note(otherCategory(group))
				}
			}
		}
	}
	if found {
		t.take(worst)
	}
}

var (
	cookieYesPrefix = []byte("cookieyes-")
	optanonPrefix   = []byte("optanon-category-")
	dash            = []byte("-")
)

// nextMark splits a word off a list that is separated by spaces, commas,
// semicolons or bars.
func nextMark(list []byte) (word, rest []byte) {
	n := bytes.IndexAny(list, " \t\n\r\f,;|")
	if n < 0 {
		return list, nil
	}
	return list[:n], list[n+1:]
}

// parkedByOthers reports whether the tag has an attribute or class by which
// another tool knows the scripts and frames that it has parked.
func (rw *Rewriter) parkedByOthers() bool {
	for i, id := range rw.tag.ids {
		switch id {
		case attrCategory, attrCookieConsent, attrCookieCategory, attrCookieYes, attrCLICategory, attrOsano, attrPurposes,
			attrService, attrDataName, attrUsercentrics, attrBorlabs, attrBorlabsBlocker, attrBorlabsBlocker2:
			return true
		case attrClass:
			v := rw.valueOf(i)
			if bytes.Contains(v, optanonPrefix) || hasWord(v, "cmplz-script") || hasWord(v, "cmplz-native") ||
				bytes.Contains(v, iubendaClass) {
				return true
			}
		}
	}
	return false
}

var iubendaClass = []byte("_iub_cs_activate")

// parkedSources are the attributes in which other tools keep the URL of a
// script or frame that they have parked.
var parkedSources = []string{"data-src", "data-cookieblock-src", "data-cmplz-src", "data-suppressedsrc", "suppressedsrc",
	"data-cli-src", "data-uc-src", "data-iub-src", "data-src-cmplz", "data-borlabs-cookie-script-blocker-src", "data-borlabs-script-blocker-src"}

// parkedSource finds where a parked element keeps its URL: one without src, or with
// one that stands in, as Complianz puts on frames and images.
func (t *tag) parkedSource(rw *Rewriter, src int) {
	t.sourceAt = -1
	for _, id := range attrParkedSources {
		if src >= 0 && (id != attrComplianz || t.elem == scan.Script) {
			continue
		}
		if a := rw.find(id); a >= 0 {
			t.sourceAt = a
			return
		}
	}
}

// parkedScript decides about a script that another consent tool has parked:
// if what it waits for is granted it goes live, if not it waits for us.
func (rw *Rewriter) parkedScript(text []byte) {
	t := &rw.tag
	src := rw.find(attrSrc)
	at := src
	if at < 0 {
		at = t.sourceAt
	}
	var d rules.Decision
	var page *rules.Page
	v := &inlineVector
	if at >= 0 {
		v = &vectors[0]
		// A script with an empty address does not run at all.
		if source := rw.valueOf(at); len(source) > 0 {
			d, page = rw.ask(source, rules.Script, 0)
		}
	} else {
		d = rw.doc.Rules.Inline(rw.page, text)
	}
	if rw.find(attrHeld) >= 0 || !t.owned && (d.Rule == nil || !rw.parkedByOthers()) {
		// It waits for us already, or nothing says what it waits for: it is
		// the page's own to revive.
		return
	}
	isHeld := rw.hold(-1, d, v, page)
	live, liveType, park := source, typed, unparked
	if isHeld {
		live, liveType, park = heldSource, heldType, asWritten
	}
	if t.sourceAt >= 0 {
		t.edits[t.sourceAt] = live
	}
	if a := rw.find(attrDataType); a >= 0 {
		t.edits[a] = liveType
	}
	if a := rw.find(attrType); a >= 0 {
		t.edits[a] = park
	}
	t.edited = true
	rw.emit()
}

// readParkedSource decides about a frame or image whose URL another consent
// tool has put aside.
func (rw *Rewriter) readParkedSource() {
	t := &rw.tag
	if t.elem != scan.Iframe && t.elem != scan.Img && t.elem != scan.Embed && t.elem != scan.Video && t.elem != scan.Audio {
		return
	}
	src := rw.find(attrSrc)
	if t.parkedSource(rw, src); t.sourceAt < 0 || t.fate != consent.Pass && src < 0 || t.ids[t.sourceAt] == attrDataSrc && !rw.parkedByOthers() {
		return
	}
	rw.readScriptMarks()
	v := &vectors[roles[t.elem].first[attrSrc]-1]
	d, page := rw.ask(rw.valueOf(t.sourceAt), v.kind, 0)
	if d.Party == rules.NoParty || !t.owned && d.Rule == nil {
		return
	}
	isHeld := rw.hold(-1, d, v, page)
	t.edits[t.sourceAt] = source
	if isHeld {
		t.edits[t.sourceAt] = heldSource
	}
	if src >= 0 && !(isHeld && t.edits[src] == asWritten) {
		t.edits[src] = unparked
	}
	t.edited = true
}

// readBlocked takes the place of what Borlabs Cookie has put where it blocks
// something, if banners of its kind are removed. Version 3 keeps what it blocks in an
// attribute of a box: that comes before the box, which is hidden. Version 2 keeps it
// in a hidden element behind the box, as the text of a script: see unpack.
func (rw *Rewriter) readBlocked() {
	t := &rw.tag
	if !rw.doc.RemoveBanners || t.foreign || t.elem == scan.Iframe || rw.framed {
		return
	}
	rw.keeps = rw.find(attrBorlabs) >= 0 && scan.EqualFold(rw.scan.Name(rw.in), "div")
	a := rw.find(attrBorlabsContent)
	if a < 0 || !rw.unblock("", rw.valueOf(a)) {
		if a = rw.find(attrClass); a < 0 || t.elem == scan.Script || !hasWord(rw.valueOf(a), borlabsBox) {
			return
		}
	}
	rw.removeBanner(-1)
	t.rename(a)
	if a := rw.find(attrStyle); a >= 0 {
		t.rename(a)
	}
	t.stand("style", hiddenStyle)
}

// borlabsBox is the class of what Borlabs Cookie 2 shows in the place of what it blocks.
const borlabsBox = "_brlbs-content-blocker"

var hiddenStyle = []byte("display:none")

// unpack takes the place of a script in which Borlabs Cookie 2 keeps what it blocks.
// The element around it is hidden: it ends before the markup, and another begins.
func (rw *Rewriter) unpack(text []byte) {
	if rw.unblock("</div><div>", text) {
		rw.tag.hide = true
		rw.removeBanner(-1)
	}
}

// unblock has what Borlabs Cookie blocks, markup in base64, rewritten, to come before
// the tag after begin. As the tool knew of all of that markup that it needs consent,
// what no rule knows in it is held for marketing.
func (rw *Rewriter) unblock(begin string, encoded []byte) bool {
	markup, err := base64.StdEncoding.AppendDecode(rw.extra[:0], bytes.TrimSpace(encoded))
	rw.extra = markup
	if err != nil {
		return false
	}
	doc := *rw.doc
	doc.HoldUnclassified = true
	inner := rw.within(&doc, rw.scan.Unscripted)
	if inner == nil {
		return false
	}
	inner.blocked, inner.enclosed = true, true
	rw.srcdoc.b = slices.Insert(rw.nest(inner, markup), 0, []byte(begin)...)
	rw.tag.before = rw.srcdoc.b
	rw.bases = append(rw.bases, inner.bases[len(rw.bases):]...)
	Release(inner)
	return true
}

// rivals are the addresses of other consent tools' banners, as parts of a URL.
var rivals = [][]byte{
	[]byte("consent.cookiebot."), []byte("consentcdn.cookiebot."), []byte("cdn.cookielaw.org"), []byte("optanon.blob.core.windows.net"),
	[]byte("otSDKStub.js"), []byte("app.usercentrics.eu"), []byte("privacy-proxy.usercentrics.eu"), []byte("web.cmp.usercentrics.eu"),
	[]byte("cmp.osano.com"), []byte("cdn.iubenda.com/cs/"), []byte("cdn.iubenda.com/cookie_solution/"), []byte("cs.iubenda.com"), []byte("sdk.privacy-center.org"),
	[]byte("cdn-cookieyes.com"), []byte("/plugins/complianz-gdpr"), []byte("/plugins/cookie-law-info/"), []byte("/plugins/borlabs-cookie/"),
	[]byte("cmp.quantcast.com"), []byte("quantcast.mgr.consensu.org"), []byte("consent.trustarc.com"), []byte("app.termly.io"),
	[]byte("cdn.cookie-script.com"), []byte("consent.cookiefirst.com"), []byte("delivery.consentmanager.net"), []byte("cdn.consentmanager.net"),
	[]byte("cdn.privacy-mgmt.com"), []byte("cdn.cookiehub.eu"), []byte("cookiehub.net"), []byte("tarteaucitron.js"), []byte("cdn.kiprotect.com/klaro/"),
}

// isRivalBanner reports whether a script's URL, or the code that inserts such a
// script, is of another consent tool.
func isRivalBanner(script []byte) bool {
	for _, r := range rivals {
		if bytes.Contains(script, r) {
			return true
		}
	}
	return false
}

var rivalRule = rules.Rule{Source: "option", Text: "banners of other consent tools are removed"}

// removeBanner holds a script for good; a negative src stands for its text.
func (rw *Rewriter) removeBanner(src int) {
	t := &rw.tag
	t.owned = false
	rw.hold(src, rules.Decision{Never: true, Category: consent.Necessary, Rule: &rivalRule, Party: rules.ThirdParty}, &vectors[0], nil)
	t.gone = true
}
