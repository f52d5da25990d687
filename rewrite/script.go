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
// language attribute where it has none.
func (rw *Rewriter) typeOf(b []byte) scriptType {
	var value []byte
	if a := rw.find(attrType); a >= 0 {
		value = rw.valueOf(b, a)
		if len(value) == 0 {
			return running
		}
		value = bytes.TrimFunc(value, func(r rune) bool { return r < 128 && isSpace(byte(r)) })
	} else if a := rw.find(attrLanguage); a >= 0 {
		value = rw.valueOf(b, a)
		if len(value) == 0 {
			return running
		}
		rw.text = append(append(rw.text[:0], "text/"...), value...)
		value = rw.text
	} else {
		return running
	}
	switch {
	case runningTypes.Find(value, 0, len(value)) > 0, hasSuffixFold(value, "-text/javascript"), hasSuffixFold(value, "-module"):
		return running
	case scan.EqualFold(value, "importmap"), scan.EqualFold(value, "speculationrules"):
		return listing
	case scan.EqualFold(value, "text/plain"), scan.EqualFold(value, "text/template") && rw.parkedByBorlabs(b):
		return parked
	}
	return inert
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && scan.EqualFold(b[len(b)-len(suffix):], suffix)
}

// startScript decides about a script element as far as its start tag says. It
// reports whether the tag waits for the element's text.
func (rw *Rewriter) startScript(b []byte) (waits bool) {
	t, s := &rw.tag, &rw.scan
	t.script = rw.typeOf(b)
	src := rw.find(attrSrc)
	t.external = src >= 0
	switch t.script {
	case parked:
		return rw.startParked(b, src)
	case running:
		t.hide = true
		if s.Foreign {
			t.external = rw.find(attrHref) >= 0 || rw.find(attrXlinkHref) >= 0
		}
		if t.external && src >= 0 {
			rw.judgeDataScript(src, rw.valueOf(b, src))
		}
	case listing:
		t.hide = true
	}
	if (t.script == running && !t.external || t.script == listing) && s.InRaw() {
		rw.pending = scan.Script
		return true
	}
	return false
}

// judgeDataScript decides about the code in a data: URL.
func (rw *Rewriter) judgeDataScript(i int, ref []byte) {
	code, ok := dataURL(rw.extra[:0], ref)
	if !ok {
		return
	}
	rw.extra = code
	d := rw.doc.Rules.Inline(rw.page, code)
	if d.Rule != nil || rw.tag.hasOwn {
		rw.hold(i, d, &inlineVector, nil, nil)
	}
}

var inlineVector = vector{element: "script", read: asCode, kind: rules.Inline, fate: consent.Hold}

// rawText is called with the whole text of a raw text element.
func (rw *Rewriter) rawText(b []byte) {
	s := &rw.scan
	if rw.skip {
		rw.done = s.End
		return
	}
	element := rw.pending
	if element == 0 {
		return
	}
	rw.pending = 0
	text := b[s.Start:s.End]
	start, end := s.Start, s.End
	// The tag's offsets are relative to where it starts.
	s.Start, s.End = rw.tag.start, rw.tag.end
	rw.tag.end = s.End
	switch element {
	case scan.Script:
		rw.inlineScript(b, text)
	case scan.Style:
		rw.styleElement(b, text)
	case scan.Noscript:
		rw.copyTo(b, start)
		if rw.noscript(text) {
			rw.done = end
		}
	}
	s.Start, s.End = start, end
}

// inlineScript decides about a script by its text.
func (rw *Rewriter) inlineScript(b, text []byte) {
	t := &rw.tag
	if t.script == listing {
		rw.judgeList(text)
	} else {
		d := rw.doc.Rules.Inline(rw.page, text)
		if d.Rule != nil || t.hasOwn && len(bytes.TrimSpace(text)) > 0 {
			rw.holdText(d)
		}
	}
	rw.readVectors(b)
	rw.emit(b)
}

// holdText holds the element for its text, unless the decision lets it act.
func (rw *Rewriter) holdText(d rules.Decision) {
	t := &rw.tag
	if t.hasOwn {
		d = rw.withOwn(d)
	}
	fate := consent.Pass
	if !rw.allows(d, false) {
		fate = consent.Hold
		rw.blame(d, fate, rules.Inline)
	}
	rw.seen(rules.Inline, nil, nil, d, fate)
}

// judgeList decides about each string of an import map or of speculation rules
// that may be a URL.
func (rw *Rewriter) judgeList(text []byte) {
	for len(text) > 0 {
		var ref []byte
		if ref, text = nextString(rw.extra[:0], text); ref == nil {
			return
		}
		rw.extra = ref
		if bytes.IndexByte(ref, '/') < 0 {
			continue
		}
		d := rw.doc.Rules.URL(rw.page, ref, rules.Script)
		if d.Party == rules.NoParty {
			continue
		}
		host, path := rw.page.Target()
		if rw.tag.hasOwn {
			d = rw.withOwn(d)
		}
		fate := consent.Pass
		if !rw.allows(d, d.Rule == nil) {
			fate = consent.Hold
			rw.blame(d, fate, rules.Script)
		}
		rw.seen(rules.Script, host, path, d, fate)
	}
}

// noscript rewrites the content of a noscript element, which is markup to a
// browser that runs no scripts. It reports whether anything changed; if so it
// has been written.
func (rw *Rewriter) noscript(text []byte) bool {
	if bytes.IndexByte(text, '<') < 0 {
		return false
	}
	out, changed := rw.nest(text)
	if changed {
		rw.write(out)
	}
	return changed
}

// nest rewrites a document or a part of one that stands in this one, and
// reports whether it changed. What it returns is valid until the next call.
func (rw *Rewriter) nest(text []byte) ([]byte, bool) {
	if rw.depth >= maxNesting {
		// Nothing that a page needs is nested this deeply.
		return nil, true
	}
	inner := rw.inner
	if inner == nil {
		inner = new(Rewriter)
		rw.inner = inner
	}
	inner.start(nil, rw.doc)
	inner.inject.stage = over
	inner.inject.lang = append(inner.inject.lang[:0], rw.inject.lang...)
	inner.page, inner.based = rw.page, true
	inner.nested, inner.depth = true, rw.depth+1
	inner.boxes.banned = rw.boxes.element != 0
	inner.read(text, len(text)+1, true)
	rw.tag.nested, rw.tag.nestedFate = inner.worst, inner.worstFate
	return inner.out, !bytes.Equal(inner.out, text)
}

// maxNesting is how deep frame documents may stand in one another.
const maxNesting = 4
