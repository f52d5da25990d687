package rewrite

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// readSubset decides about the declarations in a DOCTYPE of XML (XML 1.0, section 2.8).
// Entities stay that HTML has under the same name, as references are read by that. Any
// other could bring markup or a part of an address to where nobody looks: it comes to
// stand for a character that is neither, so that the page stays well-formed. Other
// declarations, among them defaults of attributes, are left out.
func (rw *Rewriter) readSubset() {
	s := &rw.scan
	doctype := rw.in[s.Start:s.End]
	from, to := len(beforeSubset.Find(doctype)), bytes.LastIndexByte(doctype, ']')
	if from == 0 || to < from || rw.allows(unread(&markupRule), false) {
		return
	}
	subset := doctype[from:to]
	var left []byte
	for _, m := range entityDeclaration.FindAllSubmatch(subset, -1) {
		declaration, name, value := m[0], m[1], slices.Concat(m[2], m[3])
		switch {
		case predefinedEntity.Match(name):
		case bytes.Equal(scan.AppendValue(nil, value), scan.AppendValue(nil, []byte("&"+string(name)+";"))):
			left = append(append(left, declaration...), '\n')
		default:
			left = append(append(append(left, "<!ENTITY "...), name...), " \"&#xFFFD;\">\n"...)
		}
	}
	if bytes.Equal(withoutBlanks(bytes.Clone(left)), withoutBlanks(bytes.Clone(subset))) {
		return
	}
	rw.inject.sawText(rw, s.Start)
	rw.copyTo(s.Start + from)
	rw.write(left)
	rw.done = s.Start + to
}

var (
	beforeSubset = regexp.MustCompile(`^<!(?:[^"'[]|"[^"]*"|'[^']*')*\[`)
	// entityDeclaration matches the declaration of a general entity (XML 1.0, section
	// 4.2), with its name and value; one of another file has none.
	entityDeclaration = regexp.MustCompile(`<!ENTITY\s+([^\s%"'&<>]+)\s+(?:"([^"]*)"|'([^']*)'|(?:SYSTEM|PUBLIC)\s[^>]*)\s*>`)
	predefinedEntity  = regexp.MustCompile(`^(?:amp|lt|gt|apos|quot)$`)
	// styleInstruction matches a processing instruction that links a style sheet
	// (Associating Style Sheets with XML documents 1.0), pseudoAttribute what it says.
	styleInstruction = regexp.MustCompile(`^<\?xml-stylesheet\s`)
	pseudoAttribute  = regexp.MustCompile(`([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
)

// holdsInstruction decides about a processing instruction of XML. One that links a
// style sheet that is held has no attributes that could be renamed: it is left out.
// So is what may be a program that makes another page of it (XSLT): a sheet that is not
// said to be CSS, or is in a data: URL.
func (rw *Rewriter) holdsInstruction() (isHeld bool) {
	s := &rw.scan
	if s.Start < 0 {
		return false // A comment, whose beginning is out.
	}
	instruction := rw.in[s.Start:s.End]
	if !styleInstruction.Match(instruction) {
		return false
	}
	said := pseudoAttribute.FindAllSubmatch(instruction, -1)
	value := func(m [][]byte) []byte { return scan.AppendValue(nil, slices.Concat(m[2], m[3])) }
	program := slices.ContainsFunc(said, func(m [][]byte) bool {
		media, _, _ := bytes.Cut(value(m), semicolon)
		return string(m[1]) == "type" && len(media) > 0 && !scan.EqualFold(bytes.TrimSpace(media), "text/css")
	})
	for _, m := range said {
		if string(m[1]) != "href" {
			continue
		}
		ref := value(m)
		d, page := rw.ask(ref, rules.Style, 0)
		if program || afterScheme(ref, "data:") >= 0 {
			d = unread(&markupRule)
		}
		fate := consent.Pass
		if !rw.allows(d, false) {
			isHeld, fate = true, consent.Strip
		}
		rw.seen(rules.Style, page, d, fate)
	}
	return isHeld
}
