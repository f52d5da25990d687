package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"

	"github.com/askfirst/askfirst/banner"
)

// A page that one upstream page was made into is another representation, so it
// has another entity tag: the upstream's, made weak, with a mark of what it was
// made for. A visitor who sends it back gets 304 (Not Modified) only if both
// are the same as then: the upstream's page, which the upstream decides, and
// the rules, the choice and the rest, which the mark tells.

// The letter after the mark says whether the upstream's tag was strong or weak.
const (
	markStrong = "-as"
	markWeak   = "-aw"
	markLen    = len(markStrong) + 16
)

// variant tells apart the pages that the same upstream page is made into, as
// far as that does not depend on the upstream's answer.
func (x *exchange) variant() uint64 {
	h := fnv.New64a()
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], x.site.marked())
	b[8], b[9], b[10] = byte(x.shown.Granted), byte(x.shown.Regime), byte(x.shown.Objection)
	b[11] = flags(x.shown.Made, x.shown.Child, x.part, x.secure, x.once != nil, x.shared, x.showsWhole())
	h.Write(b[:])
	binary.LittleEndian.PutUint64(b[:], uint64(x.site.news.since()))
	h.Write(b[:8])
	h.Write(x.acceptLanguage())
	io.WriteString(h, x.section())
	if x.guards {
		h.Write(x.appendWorkerGuard(nil, x.site.byPage))
	}
	return h.Sum64()
}

// mark returns a number that changes whenever the site would make other pages
// of the same upstream page. It is the same in every proxy of the same site, so
// that a page made by one is known to all.
func (s *site) mark() uint64 {
	h := fnv.New64a()
	revision := s.engine.Revision()
	h.Write(revision[:])
	c := *s.Site
	c.Upstream, c.Others, c.Weights = nil, nil, nil
	c.Overrides, c.Lists = nil, nil // the revision tells them
	c.TCF.List = nil                // the guard's address tells it
	fmt.Fprintf(h, "%+v", c)
	v := banner.View{Host: []byte(s.Name), Return: []byte("/")}
	h.Write(s.banner.AppendFoot(s.banner.AppendHead(nil, &v, nil), &v, nil))
	return h.Sum64()
}

// marked returns the mark under what is known now: aliases become known while the
// site is served.
func (s *site) marked() uint64 {
	revision := s.engine.Revision()
	return s.marker ^ binary.LittleEndian.Uint64(revision[:])
}

// appendTag appends an upstream's entity tag, marked.
func appendTag(out, tag []byte, variant uint64) []byte {
	mark := markStrong
	if opaque, weak := bytes.CutPrefix(tag, []byte("W/")); weak {
		tag, mark = opaque, markWeak
	}
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return nil
	}
	out = append(append(append(out, "W/"...), tag[:len(tag)-1]...), mark...)
	for shift := 60; shift >= 0; shift -= 4 {
		out = append(out, "0123456789abcdef"[variant>>shift&15])
	}
	return append(out, '"')
}

// cutMark takes the mark off an entity tag and gives the upstream's back. ok is
// false for a tag that has none.
func cutMark(dst, tag []byte) (original []byte, variant uint64, ok bool) {
	tag = bytes.TrimPrefix(tag, []byte("W/"))
	at := len(tag) - 1 - markLen
	if at < 1 || tag[0] != '"' {
		return nil, 0, false
	}
	mark, number := string(tag[at:at+len(markStrong)]), tag[at+len(markStrong):len(tag)-1]
	if mark != markStrong && mark != markWeak {
		return nil, 0, false
	}
	variant, err := strconv.ParseUint(string(number), 16, 64)
	if err != nil {
		return nil, 0, false
	}
	if mark == markWeak {
		dst = append(dst, "W/"...)
	}
	return append(append(dst, tag[:at]...), '"'), variant, true
}

// appendValidators appends an If-None-Match or If-Match field with its tags as
// the upstream knows them. In If-None-Match, tags of pages that were made for
// something else are left out: the visitor needs the page anew. So are tags
// without a mark where a page is asked for, or a worker's script: the visitor has it
// from before there was a mark, or for another use.
func (x *exchange) appendValidators(out []byte, f *field) []byte {
	if !x.cfg.Rewrite {
		return appendField(out, f.name, f.value)
	}
	start := len(out)
	out = append(append(out, f.name...), ": "...)
	empty := len(out)
	must := f.id == nameIfMatch
	page := x.mayBePage() || x.guards
	var current uint64 // x.variant(), once it is asked for
	asked := false
	for rest := f.value; len(rest) > 0; {
		var tag []byte
		tag, rest = cutTag(rest)
		original, variant, marked := cutMark(nil, tag)
		if marked && !asked {
			current, asked = x.variant(), true
		}
		switch {
		case marked && must:
			// What is changed is the upstream's, whatever was made of it.
			tag = original
		case must:
		case marked && variant == current:
			tag = original
			x.revalidates = true
		case marked, page:
			continue
		}
		if len(out) > empty {
			out = append(out, ", "...)
		}
		out = append(out, tag...)
	}
	if len(out) == empty {
		return out[:start]
	}
	return append(out, "\r\n"...)
}

// cutTag cuts the first entity tag off a list of them. Tags may hold commas.
func cutTag(list []byte) (tag, rest []byte) {
	quoted := false
	for i, c := range list {
		switch {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}
