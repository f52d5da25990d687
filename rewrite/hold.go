package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

const prefix = "data-askfirst-"

// emit writes the tag as decided: nothing where it passes.
func (rw *Rewriter) emit() {
	t, s := &rw.tag, &rw.scan
	if t.fate == consent.Pass && !t.edited {
		return
	}
	if t.fate != consent.Pass {
		rw.noteWorst(t.reason)
	}
	rw.copyBefore(t.start)
	rw.write(t.before)
	if t.fate == consent.Placeholder {
		rw.box()
	}
	if t.hide && t.stops {
		for i, id := range t.ids {
			if id == attrType {
				t.edits[i] = held
			}
		}
	}
	rw.editFirst()
	rw.editDuplicates()
	rw.suffix()
	// What is added comes after the last attribute. Where that is an equals
	// sign without a value it would become the value, and so comes before it.
	last := len(s.Attrs) - 1
	if last >= 0 && s.Attrs[last].Form == '-' {
		last--
	}
	at := t.nameEnd
	if t.script == parked {
		// A parked script keeps its type. That nothing is added after it
		// tells it from a type that was added.
		last = -1
	} else if last >= 0 {
		at = t.start + int(s.Attrs[last].End)
	}
	for i := range s.Attrs {
		if i == last+1 {
			rw.copyTo(at)
			rw.write(rw.extra)
		}
		switch a := &s.Attrs[i]; t.edits[i] {
		case asWritten:
		case held:
			rw.copyTo(t.start + int(a.Name))
			rw.out = append(rw.out, prefix...)
		default:
			rw.copyTo(t.start + int(a.Name))
			rw.out = append(rw.out, editedNames[t.edits[i]]...)
			rw.done = t.start + int(a.NameEnd)
		}
	}
	if last == len(s.Attrs)-1 {
		rw.copyTo(at)
		rw.write(rw.extra)
	}
	rw.copyTo(t.end)
	if t.fate == consent.Placeholder && !t.mark && rw.empty() {
		rw.out = append(rw.out, PlaceholderEnd...)
	}
}

// noteWorst remembers for what a nested document holds something.
func (rw *Rewriter) noteWorst(r rules.Decision) {
	rw.mixed = rw.mixed || rw.holds && categoryMark(r) != categoryMark(rw.worst)
	if !rw.holds || r.Never || r.Category > rw.worst.Category && !rw.worst.Never {
		rw.holds, rw.worst = true, r
	}
}

// editFirst renames the first attribute of a name where a later one is held,
// which Chromium's preload scanner alone reads: the first is what the name is
// restored to. It stands in for itself.
func (rw *Rewriter) editFirst() {
	t := &rw.tag
	for i, e := range t.edits {
		if e != held && e != heldXlink || t.ids[i] == onHandler || t.ids[i] == 0 {
			continue
		}
		if a := rw.find(t.ids[i]); t.edits[a] == asWritten {
			t.edits[a] = e
			if len(rw.rawValue(a)) > 0 {
				t.stand(string(rw.nameOf(a)), bytes.Clone(rw.valueOf(a)))
			}
		}
	}
}

// editDuplicates renames the later attributes of a name together with the
// first one, or one of them would take its place.
func (rw *Rewriter) editDuplicates() {
	t := &rw.tag
	for i, e := range t.edits {
		if e == asWritten {
			continue
		}
		for j := i + 1; j < len(t.edits); j++ {
			if t.edits[j] == asWritten && t.ids[j] == t.ids[i] && (t.ids[i] != onHandler || bytes.EqualFold(rw.nameOf(i), rw.nameOf(j))) {
				t.edits[j] = e
			}
		}
	}
}

// suffix makes the attributes that are added to a held element.
func (rw *Rewriter) suffix() {
	t := &rw.tag
	x := rw.extra[:0]
	for _, s := range t.stands {
		if s.name != "" {
			x = append(x, ' ')
			x = append(x, s.name...)
			x = append(x, `="`...)
			x = rw.appendEscaped(x, s.value)
			x = append(x, '"')
		}
	}
	if t.hide && t.stops {
		x = append(x, ` type="text/plain"`...)
	}
	switch {
	case t.fate == consent.Pass || rw.find(attrHeld) >= 0:
	case t.gone:
		x = rw.appendEmpty(x, "data-askfirst-removed")
	default:
		x = append(x, ` data-askfirst-category="`...)
		x = append(x, categoryMark(t.reason)...)
		x = append(x, '"')
		if t.reason.Vendor != nil {
			x = append(x, ` data-askfirst-vendor="`...)
			x = append(x, t.reason.Vendor.ID...)
			x = append(x, '"')
		}
	}
	rw.extra = x
}

// categoryMark is what data-askfirst-category says: the category whose grant
// releases the element, "never" where none does.
func categoryMark(d rules.Decision) string {
	switch {
	case d.Never:
		return "never"
	case d.Category == consent.Unclassified:
		return consent.Marketing.String()
	}
	return d.Category.String()
}

// appendEmpty appends an attribute whose presence says all.
func (rw *Rewriter) appendEmpty(dst []byte, name string) []byte {
	dst = append(append(dst, ' '), name...)
	if rw.doc.XML {
		dst = append(dst, `=""`...)
	}
	return dst
}

// appendEscaped appends text as it stands in a double-quoted attribute, in XML also
// in an element.
func (rw *Rewriter) appendEscaped(dst, text []byte) []byte {
	for _, c := range text {
		switch {
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '"':
			dst = append(dst, "&quot;"...)
		case c == '<' && rw.doc.XML:
			dst = append(dst, "&lt;"...)
		case c == '>' && rw.doc.XML:
			dst = append(dst, "&gt;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// boxes keeps count of the element that stands in a placeholder.
type boxes struct {
	element scan.Element
	depth   int
	banned  bool // this is a document inside a box
}

// boxable reports whether the tag can have a placeholder before or around it,
// and its element is one that visitors see.
func (rw *Rewriter) boxable(v *rules.Vendor) bool {
	t := &rw.tag
	if rw.doc.Placeholder == nil || v != nil && v.Widget == "" || rw.boxes.element != 0 || rw.boxes.banned || t.foreign {
		return false
	}
	switch t.elem {
	case scan.HTMLElement, scan.Head, scan.Body, scan.Table, scan.Tbody, scan.Thead, scan.Tfoot, scan.Tr, scan.Td, scan.Th,
		scan.Caption, scan.Col, scan.Li, scan.Dd, scan.Dt, scan.Option, scan.Select, scan.Source, scan.Track, scan.Param,
		scan.Meta, scan.Link, scan.Base, scan.Script, scan.Style, scan.Template, scan.Frame, scan.Frameset, scan.Title:
		return false
	}
	return !rw.hidden()
}

// hidden reports whether the tag says that its element is not to be seen.
func (rw *Rewriter) hidden() bool {
	return rw.tag.elem == scan.Iframe && rw.find(attrSrcdoc) >= 0 || rw.signs()&(rules.Tiny|rules.Hidden) != 0
}

// empty reports whether the tag is all of its element.
func (rw *Rewriter) empty() bool {
	return rw.tag.elem.Void() || rw.doc.XML && rw.scan.SelfClosing
}

// box writes the placeholder before the element.
func (rw *Rewriter) box() {
	t := &rw.tag
	box := &rw.boxed
	box.Vendor, box.Category = t.reason.Vendor, t.reason.Category
	if box.Category == consent.Unclassified {
		box.Category = consent.Marketing
	}
	rw.text = rw.text[:0]
	part := func(id attribute) []byte {
		a := rw.find(id)
		if a < 0 {
			return nil
		}
		from := len(rw.text)
		rw.text = scan.AppendValue(rw.text, rw.rawValue(a))
		return rw.text[from:len(rw.text):len(rw.text)]
	}
	box.Width, box.Height, box.Class, box.Style, box.Title = part(attrWidth), part(attrHeight), part(attrClass), part(attrStyle), part(attrTitle)
	from := len(rw.text)
	rw.text = appendLower(rw.text, rw.in[t.start+1:t.nameEnd])
	box.Element = rw.text[from:]
	rw.extra = rw.doc.Placeholder(rw.extra[:0], rw.inject.lang, box)
	rw.write(rw.extra)
	switch {
	case t.mark:
		rw.out = append(rw.out, PlaceholderEnd...)
	case !rw.empty():
		rw.boxes.element, rw.boxes.depth = t.elem, 1
	}
}
