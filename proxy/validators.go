package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
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
	binary.LittleEndian.PutUint64(b[:], x.site.marker)
	b[8], b[9] = byte(x.standing.Granted), byte(x.standing.Regime)
	b[10] = flags(x.standing.Made, x.standing.GPC, x.part, x.secure, x.once != nil)
	h.Write(b[:])
	h.Write(x.request.get(nameAcceptLanguage))
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
	c.Upstream, c.Others = nil, nil
	c.Overrides, c.Lists = nil, nil // the revision tells them
	fmt.Fprintf(h, "%+v", c)
	v := banner.View{Host: []byte(s.Name), Return: []byte("/")}
	h.Write(s.banner.AppendFoot(s.banner.AppendHead(nil, &v, nil), &v, nil))
	return h.Sum64()
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
// without a mark where a page is asked for: the visitor has it from before
// there was a mark.
func (x *exchange) appendValidators(out []byte, f *field) []byte {
	if !x.cfg.Rewrite {
		return appendField(out, f.name, f.value)
	}
	start := len(out)
	out = append(append(out, f.name...), ": "...)
	empty := len(out)
	must := f.id == nameIfMatch
	page := x.mayBePage()
	for rest := f.value; len(rest) > 0; {
		var tag []byte
		tag, rest = cutTag(rest)
		original, variant, marked := cutMark(nil, tag)
		switch {
		case marked && must:
			// What is changed is the upstream's, whatever was made of it.
			tag = original
		case must:
		case marked && variant == x.variant():
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

// composeDocument writes the head of a page. length is that of its body, or -1
// where it is not known.
func (x *exchange) composeDocument(length int) {
	x.closeAfterUpload()
	d := &x.doc
	out := x.appendStatusLine(x.out[:0])
	cached := false
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if x.answer.nominated(f) {
			continue
		}
		switch f.id {
		case nameContentLength, nameContentEncoding, nameTrailer, nameVary, nameCSP, nameCSPReportOnly,
			nameContentMD5, nameDigest, nameContentDigest, nameReprDigest, nameAcceptRanges,
			nameSurrogateControl, nameCDNCacheControl:
			continue
		case nameETag:
			out = append(append(out, f.name...), ": "...)
			if tagged := appendTag(out, f.value, x.variant()); tagged != nil {
				out = append(tagged, "\r\n"...)
			} else {
				out = out[:len(out)-len(f.name)-2]
			}
			continue
		case nameCacheControl:
			cached = true
			out = appendPrivate(out, f)
			continue
		case nameContentType:
			out = append(appendContentType(append(append(out, f.name...), ": "...), f.value, d.transcoded), "\r\n"...)
			continue
		}
		out = x.appendAnswerField(out, f)
	}
	out = append(out, x.policies...)
	if !cached {
		out = append(out, "Cache-Control: private\r\n"...)
	}
	out = x.appendVary(out)
	if d.target != identity && x.answer.status != 304 {
		out = append(append(append(out, "Content-Encoding: "...), codingNames[d.target]...), "\r\n"...)
	}
	out = x.appendExpiry(out)
	out = x.appendDate(out)
	switch {
	case length >= 0:
		out = strconv.AppendInt(append(out, "Content-Length: "...), int64(length), 10)
		out = append(out, "\r\n"...)
	case x.download.framing == noBody:
	case x.request.minor == 1:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	default:
		x.last = true
	}
	x.out = append(x.appendConnection(out), "\r\n"...)
}

// appendPrivate appends Cache-Control without what lets a shared cache keep
// what was made for one visitor's choice.
func appendPrivate(out []byte, f *field) []byte {
	out = append(append(out, f.name...), ": "...)
	stays := false
	for rest := f.value; len(rest) > 0; {
		var directive []byte
		directive, rest = cutTag(rest)
		name, _, _ := bytes.Cut(directive, []byte{'='})
		switch {
		case len(directive) == 0, equalFold(name, "public"), equalFold(name, "s-maxage"), equalFold(name, "proxy-revalidate"):
			continue
		case equalFold(name, "private"), equalFold(name, "no-store"):
			stays = true
		}
		out = append(append(out, directive...), ", "...)
	}
	if !stays {
		return append(out, "private\r\n"...)
	}
	return append(out[:len(out)-2], "\r\n"...)
}

var varies = [...]string{"Accept-Encoding", "Accept-Language", "Cookie", "Sec-GPC", "Sec-Fetch-Dest"}

// appendVary says on what of the request the page depends.
func (x *exchange) appendVary(out []byte) []byte {
	out = append(out, "Vary: "...)
	if x.answer.lists(nameVary, "*") {
		return append(out, "*\r\n"...)
	}
	for i := range x.answer.fields {
		if f := &x.answer.fields[i]; f.id == nameVary && len(f.value) > 0 {
			out = append(append(out, f.value...), ", "...)
		}
	}
	for _, name := range varies {
		if !x.answer.lists(nameVary, name) {
			out = append(append(out, name...), ", "...)
		}
	}
	return append(out[:len(out)-2], "\r\n"...)
}
