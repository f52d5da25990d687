package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// scriptType is what a browser does with a script element of some type.
type scriptType uint8

const (
	notScript scriptType = iota
	running              // a classic script, a module, or what a loader will run
	listing              // JSON that names URLs: importmap, speculationrules
	parked               // text/plain and the like: inert until another tool revives it
	inert                // a data block
)

// runningTypes are the JavaScript MIME types, and those that other programs'
// loaders run later.
var runningTypes = scan.NewNames([]string{"", "text/javascript", "module", "application/javascript", "text/ecmascript",
	"application/ecmascript", "application/x-ecmascript", "application/x-javascript", "text/javascript1.0",
	"text/javascript1.1", "text/javascript1.2", "text/javascript1.3", "text/javascript1.4", "text/javascript1.5",
	"text/jscript", "text/livescript", "text/x-ecmascript", "text/x-javascript",
	"text/partytown", "rocketlazyloadscript", "litespeed/javascript", "text/rocketscript", "text/delayscript",
	"pmdelayedscript", "wpmeteor/javascript", "javascript/blocked", "didomi/javascript", "text/x-lazy"})

// typeOf classifies a script element by its type attribute, or by its
// language attribute where it has none. Of several of a name the parser takes
// the first and Chromium's preload scanner the last: one that runs counts.
// That scanner fetches what a script of SVG refers to whatever its type, and takes
// any with such an attribute for one of SVG.
func (rw *Rewriter) typeOf(refers bool) scriptType {
	if refers {
		return running
	}
	by := attrType
	first := rw.find(by)
	if first < 0 {
		by = attrLanguage
		if first = rw.find(by); first < 0 {
			return running
		}
	}
	t := rw.typeIn(first)
	for i := first + 1; i < len(rw.tag.ids); i++ {
		if rw.tag.ids[i] == by && rw.typeIn(i) == running {
			return running
		}
	}
	return t
}

// typeIn classifies a script by its i-th attribute, a type or a language.
func (rw *Rewriter) typeIn(i int) scriptType {
	value := rw.valueOf(i)
	if len(value) == 0 {
		return running
	}
	if rw.tag.ids[i] == attrLanguage {
		rw.text = append(append(rw.text[:0], "text/"...), value...)
		value = rw.text
	} else {
		// Chromium takes off what Unicode calls white space.
		value = bytes.TrimSpace(value)
	}
	switch {
	case len(value) == 0:
		return inert
	case runningTypes.Find(value, 0, len(value)) > 0, hasSuffixFold(value, "-text/javascript"), hasSuffixFold(value, "-module"):
		return running
	case scan.EqualFold(value, "importmap"), scan.EqualFold(value, "speculationrules"), scan.EqualFold(value, "webbundle"),
		rw.counting && scan.EqualFold(value, "application/json"):
		return listing
	case scan.EqualFold(value, "text/plain"), scan.EqualFold(value, "text/template") && rw.parkedByOthers():
		return parked
	}
	return inert
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && scan.EqualFold(b[len(b)-len(suffix):], suffix)
}

// startScript decides about a script element as far as its start tag says. It
// reports whether the tag waits for the element's text.
func (rw *Rewriter) startScript() (waits bool) {
	t := &rw.tag
	src := rw.find(attrSrc)
	external := src >= 0 || rw.find(attrRocketSrc) >= 0
	refers := rw.find(attrHref) >= 0 || rw.find(attrXlinkHref) >= 0
	if t.foreign {
		external = refers
	}
	t.script = rw.typeOf(refers)
	switch t.script {
	case parked:
		rw.readScriptMarks()
		t.parkedSource(rw, src)
		external = external || t.sourceAt >= 0
	case running:
		t.hide = true
		rw.readScriptMarks()
		for i, id := range t.ids {
			if id == attrSrc || t.foreign && (id == attrHref || id == attrXlinkHref) {
				rw.judgeDataScript(i, rw.valueOf(i))
			}
		}
		if rw.doc.RemoveBanners && src >= 0 && isRivalBanner(rw.valueOf(src)) {
			rw.removeBanner(src)
		}
	case listing:
		t.hide = true
		external = false
	default:
		if external || !t.foreign && !t.kept {
			return false
		}
	}
	if external {
		if t.script == parked {
			rw.parkedScript(nil)
			return true
		}
		return false
	}
	rw.await(scan.Script)
	return true
}

// judgeDataScript decides about the code in a data: URL.
func (rw *Rewriter) judgeDataScript(i int, ref []byte) {
	code, ok := dataURL(rw.extra[:0], ref)
	if !ok {
		return
	}
	rw.extra = code
	d := rw.doc.Rules.Inline(rw.page, code)
	if d.Rule != nil || rw.tag.owned {
		rw.hold(i, d, &inlineVector, nil)
	}
	rw.judgeImports(i, code, d.Imports, rw.isModule(), listVector)
}

// isModule reports whether the script is one that may import without a call.
func (rw *Rewriter) isModule() bool {
	for i, id := range rw.tag.ids {
		if id == attrType && scan.EqualFold(bytes.TrimSpace(rw.valueOf(i)), "module") {
			return true
		}
	}
	return false
}

var listVector = vector{element: "script", read: asList, kind: rules.Script, fate: consent.Hold, only: true}

var inlineVector = vector{element: "script", read: asCode, kind: rules.Inline, fate: consent.Hold}

// rawText is called with the whole text of a raw text element, which ends
// where its token does.
func (rw *Rewriter) rawText() {
	s := &rw.scan
	if rw.pending != 0 && s.End-rw.tag.start > Limit {
		rw.oversize()
	}
	if rw.leaves() {
		rw.done = s.End
		return
	}
	if rw.pending == scan.Noscript {
		rw.pending = 0
		rw.copyTo(s.Start)
		rw.noscript(s.End, true)
	} else if rw.pending != 0 {
		rw.decideText(rw.in[s.Start:s.End])
		rw.readFrames(s.Start, s.End, true)
	}
}

// readFrames rewrites the text of a script or style element as markup in a page
// of frames. There no element but <frame>, <frameset> and <noframes> is one, so
// that what stands in others is markup (HTML, 13.2.6.4.20).
func (rw *Rewriter) readFrames(from, to int, enclosed bool) {
	if rw.framed {
		rw.copyTo(from)
		rw.noscript(to, enclosed)
	}
}

// decideText decides about a script or style element by its text.
func (rw *Rewriter) decideText(text []byte) {
	rw.pending = 0
	if rw.tag.elem == scan.Style {
		rw.styleElement(text)
		return
	}
	rw.inlineScript(text)
}

// inlineScript decides about a script by its text.
func (rw *Rewriter) inlineScript(text []byte) {
	t := &rw.tag
	switch t.script {
	case parked:
		rw.parkedScript(text)
		return
	case listing:
		rw.judgeList(text)
		rw.judgeSpeculation(text)
	case inert:
		if t.kept {
			rw.unpack(text)
		}
	default:
		if rw.doc.RemoveBanners && isRivalBanner(text) {
			rw.removeBanner(-1)
			break
		}
		d := rw.doc.Rules.Inline(rw.page, text)
		if d.Rule == nil && rw.blocked && !t.owned {
			t.take(consent.Marketing)
		}
		if d.Rule != nil || t.owned && len(bytes.TrimSpace(text)) > 0 {
			rw.hold(-1, d, &inlineVector, nil)
		}
		rw.judgeImports(-1, text, d.Imports, rw.isModule(), listVector)
	}
	rw.readVectors()
	rw.emit()
}

// judgeList decides about each string of an import map or of speculation rules
// that may be a URL.
func (rw *Rewriter) judgeList(text []byte) {
	if hidesBackslash(text) {
		rw.judgeStrings(rw.ascii(text))
	}
	rw.judgeStrings(text)
}

func (rw *Rewriter) judgeStrings(text []byte) {
	for len(text) > 0 {
		var ref []byte
		if ref, text = nextString(rw.extra[:0], text); ref == nil {
			return
		}
		rw.extra = ref
		rw.judgeSpecifier(-1, ref, &listVector)
	}
}

// judgeSpecifier decides about what an import map leads to.
func (rw *Rewriter) judgeSpecifier(i int, ref []byte, v *vector) {
	ref, ok := rw.specifier(ref)
	if !ok {
		return
	}
	if d, page := rw.ask(ref, v.kind, 0); d.Party != rules.NoParty {
		rw.hold(i, d, v, page)
	}
}

// specifier returns a module specifier as it is read with a base too, and whether it
// may be a URL. It is parsed without a base first (HTML, "resolve a URL-like module
// specifier"), by which one with a scheme is absolute with any slashes after that,
// or none.
func (rw *Rewriter) specifier(ref []byte) ([]byte, bool) {
	for _, scheme := range [...]string{"https:", "http:"} {
		if n := afterScheme(ref, scheme); n >= 0 {
			rest := bytes.TrimLeft(ref[n:], "/\\\t\n\r")
			rw.css = append(append(append(rw.css[:0], scheme...), "//"...), rest...)
			return rw.css, true
		}
	}
	return ref, bytes.ContainsAny(ref, `/\`)
}

// noscript rewrites the content of a noscript element up to rw.in[end], which
// is markup to a browser that runs no scripts. enclosed says that its end tag
// follows.
func (rw *Rewriter) noscript(end int, enclosed bool) { rw.markup(end, true, enclosed) }

// markup rewrites what stands up to rw.in[end] as markup, with scripting off or not.
func (rw *Rewriter) markup(end int, unscripted, enclosed bool) {
	text := rw.in[rw.done:end]
	if bytes.IndexByte(text, '<') < 0 {
		return
	}
	rw.done = end
	if inner := rw.within(rw.doc, unscripted); inner != nil {
		inner.w, inner.enclosed = (*outer)(rw), enclosed
		inner.elementless = rw.framed && (rw.elementless || rw.tag.elem != scan.Noscript)
		inner.read(text, len(text)+1, true)
		if enclosed && inner.flat.InRaw() {
			inner.out = appendEnd(inner.out, inner.flat.Element)
		}
		inner.flush()
		rw.bases = append(rw.bases, inner.bases[len(rw.bases):]...)
		Release(inner)
	}
}

// outer is the rewriter that markup stands in, as what its output goes to.
type outer Rewriter

func (rw *outer) Write(p []byte) (int, error) {
	(*Rewriter)(rw).write(p)
	return len(p), nil
}

// within returns a rewriter for markup or a document that stands in this one, to be
// rewritten as doc says, and given back with Release. It is nil where that stands
// deeper than anything that a page needs.
func (rw *Rewriter) within(doc *Document, unscripted bool) *Rewriter {
	if rw.depth >= maxNesting {
		return nil
	}
	inner := pool.Get().(*Rewriter)
	inner.start(nil, doc)
	inner.scan.Unscripted = unscripted
	inner.inject.stage = over
	inner.inject.lang = append(inner.inject.lang[:0], rw.inject.lang...)
	inner.page, inner.based, inner.framed = rw.page, true, rw.framed
	inner.bases = append(inner.bases, rw.bases...)
	inner.depth = rw.depth + 1
	inner.boxes.banned = rw.boxes.element != 0
	return inner
}

// nest has inner rewrite text to rw.srcdoc, which it returns.
func (rw *Rewriter) nest(inner *Rewriter, text []byte) []byte {
	small := inner.out
	inner.nested, inner.out = true, rw.srcdoc.room(len(text)+len(text)/8)
	inner.read(text, len(text)+1, true)
	if inner.enclosed && inner.flat.InRaw() {
		inner.out = appendEnd(inner.out, inner.flat.Element)
	}
	rw.srcdoc.b, inner.out = inner.out, small
	return rw.srcdoc.b
}

// maxNesting is how deep documents may stand in one another.
const maxNesting = 4

// judgeDocument decides about an HTML document in an attribute. If something
// in it is held the attribute is renamed, and one with the rewritten document
// stands in.
func (rw *Rewriter) judgeDocument(i int, text []byte, v *vector) {
	if rw.judgeInner(i, text, v, false) {
		rw.tag.stand("srcdoc", rw.srcdoc.b)
	}
}

// judgeInner decides about a document, of HTML or XML, that the i-th attribute has,
// plainly or in a data: URL. If something in it is held the attribute is, for what that
// is, which Seen has been told; rw.srcdoc is the document without it then.
func (rw *Rewriter) judgeInner(i int, text []byte, v *vector, xml bool) (changed bool) {
	if rw.tag.owned && !rw.allows(rw.tag.own, false) {
		rw.hold(i, rw.tag.own, v, nil)
		return false
	}
	d := unread(&oversizeRule)
	doc := rw.doc
	if doc.XML != xml {
		other := *doc
		other.XML = xml
		doc = &other
	}
	mixed := false
	if inner := rw.within(doc, rw.scan.Unscripted); inner != nil {
		holds := false
		if rw.nest(inner, text); inner.holds {
			holds, mixed, d = true, inner.mixed, inner.worst
		}
		Release(inner)
		if bytes.Equal(rw.srcdoc.b, text) || !holds && d.Allowed(rw.doc.Granted) {
			return false
		}
	} else {
		rw.srcdoc.b = rw.srcdoc.b[:0]
	}
	rw.tag.rename(i)
	if mixed && v.read == asDocument {
		// Agreeing to one category must not release another: what is held in the
		// document is released there, each by itself.
		rw.noteWorst(d)
		rw.mixed = true
		return true
	}
	rw.blame(d, consent.Hold)
	return true
}
