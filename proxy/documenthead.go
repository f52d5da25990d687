package proxy

import "bytes"

// composeDocument writes the head of a page.
func (x *exchange) composeDocument() {
	x.closeAfterUpload()
	d := &x.doc
	out := x.appendStatusLine(x.out[:0])
	shared := x.mayBeShared()
	cached := shared
	for i := range x.answer.fields {
		f := &x.answer.fields[i]
		if x.answer.nominated(f) {
			continue
		}
		switch f.id {
		case nameContentLength, nameContentEncoding, nameTrailer, nameVary, nameCSP, nameCSPReportOnly,
			nameContentMD5, nameDigest, nameContentDigest, nameReprDigest, nameAcceptRanges:
			continue
		case nameSurrogateControl, nameCDNCacheControl, nameSingleCache:
			if !shared {
				continue
			}
		case nameETag:
			out = append(append(out, f.name...), ": "...)
			if tagged := appendTag(out, f.value, x.variant()); tagged != nil {
				out = append(tagged, "\r\n"...)
			} else {
				out = out[:len(out)-len(f.name)-2]
			}
			continue
		case nameCacheControl:
			if !shared {
				cached = true
				out = appendPrivate(out, f)
				continue
			}
		case nameContentType:
			out = append(appendContentType(append(append(out, f.name...), ": "...), f.value, d.charset), "\r\n"...)
			continue
		}
		out = x.appendAnswerField(out, f)
	}
	out = x.appendLock(append(out, x.policies...))
	if !cached {
		out = append(out, "Cache-Control: private\r\n"...)
	}
	out = x.appendVary(out, shared)
	if d.target != identity && x.answer.status != 304 {
		out = append(append(append(out, "Content-Encoding: "...), codingNames[d.target]...), "\r\n"...)
	}
	if x.dest != toWorker {
		out = x.appendExpiry(out)
	}
	x.out = x.appendTiming(x.appendDate(out))
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

// appendDependence says, beside the upstream's fields, that an answer depends on the
// choice though it is no page that was read.
func (x *exchange) appendDependence(out []byte) []byte {
	if x.answer.get(nameCacheControl) == nil {
		out = append(out, "Cache-Control: private\r\n"...)
	}
	out = append(out, "Vary: Cookie, Sec-GPC, Sec-Fetch-Dest"...)
	if x.heedsReferer() {
		out = append(out, ", Referer"...)
	}
	for _, name := range x.site.varies {
		out = append(append(out, ", "...), name...)
	}
	return append(out, "\r\n"...)
}

// appendVary says on what of the request the page depends: one for all, on the
// encoding alone.
func (x *exchange) appendVary(out []byte, shared bool) []byte {
	varies, more := varies[:], x.site.varies
	if shared {
		varies, more = varies[:1], nil
	}
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
	if x.heedsReferer() {
		out = append(out, "Referer, "...)
	}
	for _, name := range more {
		if !x.answer.lists(nameVary, name) {
			out = append(append(out, name...), ", "...)
		}
	}
	return append(out[:len(out)-2], "\r\n"...)
}
