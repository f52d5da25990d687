package scan

import "bytes"

// Token is what Next found.
type Token uint8

// The tokens.
const (
	// More says that the input ran out. Bytes before Keep are done with; the
	// rest must come again, followed by what comes next.
	More Token = iota
	StartTag
	EndTag
	Doctype
	// Comment is a comment, a bogus comment or a processing instruction.
	Comment
	// Raw is the text of a raw text element, without its end tag. It is
	// reported where it is empty, too, but not where the end tag is missing.
	Raw
	// CDATA is a CDATA section in foreign content.
	CDATA
)

// Syntax is which parser will read the bytes.
type Syntax uint8

// The syntaxes.
const (
	HTML Syntax = iota
	// XML has no raw text elements, and knows CDATA sections, empty-element
	// tags and processing instructions everywhere.
	XML
)

// Attr is an attribute as it stands in a tag. The numbers are offsets from the
// tag's Start.
type Attr struct {
	Name, NameEnd   int32
	Value, ValueEnd int32 // without quotes; equal where the value is empty
	End             int32 // with the closing quote
	// Form is the quote (' or "), '=' for an unquoted value, '-' for an
	// equals sign that no value follows, 0 for a name alone.
	Form byte
	// ID is the number of the name in the Scanner's Names.
	ID uint8
}

type state uint8

const (
	data state = iota
	tagOpen
	tagName
	beforeName
	attrName
	afterName
	beforeValue
	valueDouble
	valueSingle
	valueUnquoted
	afterValue
	selfClosing
	comment
	bogus
	cdata
	rawData
	scriptEscaped
	scriptDoubleEscaped
	plaintext
)

// MaxAttrs is how many attributes of one tag are kept, which bounds the memory
// of a Scanner.
const MaxAttrs = 2048

// Scanner reads one document. The zero Scanner is ready for Reset. Its memory
// is what the attributes of the largest tag and the depth of SVG need.
type Scanner struct {
	// Start and End delimit the token in the buffer given to Next. After More,
	// Start is where the unfinished token begins, or the end of the buffer;
	// it is negative where the token begins in what has been shifted away.
	Start, End int
	// NameEnd is where the tag's name ends.
	NameEnd int
	// Element is the tag's or raw text's element.
	Element Element
	// Foreign reports whether a start tag opens an SVG or MathML element.
	Foreign bool
	// SelfClosing reports whether a tag ends in "/>".
	SelfClosing bool
	// Overflow reports whether a tag has more than MaxAttrs attributes. What it
	// opens is not followed, but for raw text, as nobody can pass it on unseen.
	Overflow bool
	// Attrs are the first MaxAttrs attributes of a tag, in order, duplicates
	// included.
	Attrs []Attr

	// Around is how many end tags of Root before the token make it sure that it is
	// read as reported, 0 where it is: SVG or MathML may still be open around it,
	// after an end tag of which only the tree knows whether it has closed that. It
	// is for the caller to set back.
	Around int
	Root   Element

	// Names numbers the names of attributes; nil gives all the number 0. It has
	// at most 256.
	Names *Names
	// Unscripted says that scripting is off, as it is for what stands in a
	// noscript element: the text of noscript elements is markup then. Reset
	// clears it.
	Unscripted bool

	syntax  Syntax
	state   state
	end     bool  // the tag being read is an end tag
	doc     bool  // the bogus comment being read is a doctype
	dropped bool  // only the end of the tag being read matters
	pi      bool  // the bogus comment being read is an XML processing instruction
	subset  bool  // the declarations of an XML doctype are being read
	quote   byte  // what ends a literal of that, or with '-' a comment
	dashes  uint8 // in a row, in escaped script data
	pos     int   // where reading goes on
	mark    int   // where a comment's text begins
	attr    Attr  // the attribute being read
	open    []node
	doubt   int // what Around will be
}

// Reset makes s ready for another document. Names stay.
func (s *Scanner) Reset(syntax Syntax) {
	// What an odd page needed is not kept for the next.
	if cap(s.Attrs) > 128 {
		s.Attrs = nil
	}
	if cap(s.open) > 128 {
		s.open = nil
	}
	*s = Scanner{Names: s.Names, Attrs: s.Attrs[:0], open: s.open[:0], syntax: syntax}
}

// Shift tells s that the first n bytes of its buffer are gone.
func (s *Scanner) Shift(n int) {
	s.Start -= n
	s.End -= n
	s.NameEnd -= n
	s.pos -= n
	s.mark -= n
}

// Keep returns where in the buffer reading goes on: what is before can be
// shifted away without harm to s.
func (s *Scanner) Keep() int {
	if s.InTag() && !s.dropped {
		return s.Start
	}
	return s.pos
}

// Name returns the tag's name as it is written. b is the buffer given to Next.
func (s *Scanner) Name(b []byte) []byte {
	i := s.Start + 1
	if s.end {
		i++
	}
	return b[i:s.NameEnd]
}

// InTag reports whether the input ran out inside a tag, InEndTag whether that is
// an end tag, InRaw whether it ran out inside raw text (Element tells whose), and
// InComment whether inside a comment.
func (s *Scanner) InTag() bool { return s.state >= tagOpen && s.state <= selfClosing }

// InEndTag: see InTag.
func (s *Scanner) InEndTag() bool { return s.InTag() && s.state != tagOpen && s.end }

// InRaw: see InTag.
func (s *Scanner) InRaw() bool { return s.state >= rawData }

// InComment: see InTag.
func (s *Scanner) InComment() bool { return s.state >= comment && s.state <= cdata }

// InBogus reports whether the input ran out inside what is no comment but "<!" or "<?"
// begins: a doctype, a processing instruction of XML or a bogus comment.
func (s *Scanner) InBogus() bool { return s.state == bogus }

// InCDATA reports whether the input ran out inside a CDATA section.
func (s *Scanner) InCDATA() bool { return s.state == cdata }

// Idle reports whether nothing is open of what has been read, so that what
// follows is read as if nothing had been.
func (s *Scanner) Idle() bool { return s.state == data && len(s.open) == 0 && s.doubt == 0 }

// InForeign reports whether SVG or MathML is open, or may be.
func (s *Scanner) InForeign() bool { return len(s.open) > 0 || s.doubt > 0 || s.syntax == XML }

// Depth returns how many elements are open from the outermost <svg> or <math>
// on, at most 512. It is 0 in XML.
func (s *Scanner) Depth() int { return len(s.open) }

// Next reads on in b, which begins with the bytes that the last call left and
// that Shift did not take away. eof says that nothing comes after b. At the
// end of the document Next returns More with eof set.
func (s *Scanner) Next(b []byte, eof bool) Token {
	for {
		switch s.state {
		case data:
			if s.pos >= len(b) || b[s.pos] != '<' {
				n := bytes.IndexByte(b[s.pos:], '<')
				if n < 0 {
					s.pos = len(b)
					s.Start = s.pos
					return More
				}
				s.pos += n
			}
			s.Start = s.pos
			if t := s.usual(b); t != More {
				return t
			}
			s.state = tagOpen
			fallthrough
		case tagOpen:
			if !s.opening(b, eof) {
				return More
			}
		case comment:
			return s.comment(b)
		case bogus:
			return s.bogus(b)
		case cdata:
			return s.cdata(b)
		case rawData, scriptEscaped, scriptDoubleEscaped, plaintext:
			if !s.raw(b, eof) {
				return More
			}
			return Raw
		default:
			if !s.tag(b) {
				return More
			}
			if s.end {
				return EndTag
			}
			return StartTag
		}
	}
}

// opening decides at a '<' what follows: the tag open, end tag open and markup
// declaration open states. It reports whether it could.
func (s *Scanner) opening(b []byte, eof bool) bool {
	rest := b[s.Start:]
	if len(rest) < 2 {
		return false
	}
	c := rest[1]
	switch {
	case letter(c):
		s.startTag(false)
		return true
	case c == '/':
		if len(rest) < 3 {
			return false
		}
		switch c = rest[2]; {
		case letter(c):
			s.startTag(true)
		case c == '>':
			s.pos = s.Start + 3
			s.state = data
		default:
			s.startBogus(2)
		}
		return true
	case c == '?':
		s.startBogus(1)
		s.pi = s.syntax == XML
		return true
	case c == '!':
		return s.declaration(rest, eof)
	case s.syntax == XML && (c >= 0x80 || c == '_'):
		s.startTag(false)
		return true
	}
	s.pos = s.Start + 1
	s.state = data
	return true
}

func (s *Scanner) startTag(end bool) {
	s.end = end
	s.SelfClosing, s.Overflow, s.dropped, s.Element = false, false, false, Unknown
	s.Attrs = s.Attrs[:0]
	s.pos = s.Start + 1
	if end {
		s.pos++
	}
	s.state = tagName
}

func (s *Scanner) startBogus(n int) {
	s.doc, s.pi, s.subset, s.quote = false, false, false, 0
	s.pos = s.Start + n
	s.mark = s.pos
	s.state = bogus
}

const (
	doctypeWord = "doctype"
	cdataWord   = "[CDATA["
)

// declaration is the markup declaration open state.
func (s *Scanner) declaration(rest []byte, eof bool) bool {
	after := rest[2:]
	if len(after) >= 2 && after[0] == '-' && after[1] == '-' {
		s.pos = s.Start + 4
		s.mark = s.pos
		s.state = comment
		return true
	}
	if len(after) < len(doctypeWord) && !eof && (string(after) == "-" ||
		EqualFold(after, doctypeWord[:len(after)]) || string(after) == cdataWord[:len(after)]) {
		return false
	}
	s.startBogus(2)
	if len(after) >= 7 {
		switch {
		case EqualFold(after[:7], doctypeWord):
			s.doc = true
		case string(after[:7]) == cdataWord && s.cdataAllowed():
			s.pos = s.Start + 9
			s.mark = s.pos
			s.state = cdata
		case string(after[:7]) == cdataWord && len(s.open) == 0:
			s.depend()
		}
	}
	return true
}

// comment looks for "-->" and "--!>", and right at the beginning for ">" and
// "->".
func (s *Scanner) comment(b []byte) Token {
	for {
		n := bytes.IndexByte(b[s.pos:], '>')
		if n < 0 {
			// Up to three bytes may belong to the end.
			if keep := max(s.mark, len(b)-3); keep > s.pos {
				s.pos = keep
			}
			return More
		}
		i := s.pos + n
		s.pos = i + 1
		switch text := b[max(s.mark, i-3, 0):i]; {
		case bytes.HasSuffix(text, twoDashes),
			s.syntax == HTML && (string(text) == "--!" ||
				i == s.mark || i == s.mark+1 && b[s.mark] == '-'):
			return s.finish(Comment)
		}
	}
}

var twoDashes = []byte("--")

// bogus looks for ">".
func (s *Scanner) bogus(b []byte) Token {
	if s.doc && s.syntax == XML {
		return s.doctype(b)
	}
	for {
		n := bytes.IndexByte(b[s.pos:], '>')
		if n < 0 {
			s.pos = max(s.pos, len(b)-1)
			if !s.pi {
				s.pos = len(b)
			}
			return More
		}
		i := s.pos + n
		s.pos = i + 1
		if s.pi && (i == 0 || i == s.mark || b[i-1] != '?') {
			continue
		}
		if s.doc {
			return s.finish(Doctype)
		}
		return s.finish(Comment)
	}
}

// doctype looks for the ">" of an XML document type declaration, which may have others
// between brackets (XML 1.0, section 2.8).
func (s *Scanner) doctype(b []byte) Token {
	for s.pos < len(b) {
		c := b[s.pos]
		s.pos++
		switch {
		case s.quote == '-':
			if c == '>' && bytes.HasSuffix(b[:s.pos], commentEnd) {
				s.quote = 0
			}
		case s.quote != 0:
			if c == s.quote {
				s.quote = 0
			}
		case c == '-' && bytes.HasSuffix(b[:s.pos], commentStart):
			s.quote = c
		case c == '"' || c == '\'':
			s.quote = c
		case c == '[' || c == ']':
			s.subset = c == '['
		case c == '>' && !s.subset:
			return s.finish(Doctype)
		}
	}
	return More
}

var commentStart, commentEnd = []byte("<!--"), []byte("-->")

// cdata looks for "]]>".
func (s *Scanner) cdata(b []byte) Token {
	for {
		n := bytes.IndexByte(b[s.pos:], '>')
		if n < 0 {
			s.pos = max(s.pos, s.mark, len(b)-cdataEnd)
			return More
		}
		i := s.pos + n
		s.pos = i + 1
		if closesCDATA(b[max(s.mark, i-cdataEnd, 0):i]) {
			return s.finish(CDATA)
		}
	}
}

// cdataEnd is how far before a '>' the brackets are looked for.
const cdataEnd = 64

// closesCDATA reports whether text ends in the brackets of "]]>". Chromium drops
// NULs before it looks for them.
func closesCDATA(text []byte) bool {
	brackets := 0
	for i := len(text) - 1; i >= 0 && brackets < 2; i-- {
		switch text[i] {
		case ']':
			brackets++
		case 0:
		default:
			return false
		}
	}
	return brackets == 2
}

func (s *Scanner) finish(t Token) Token {
	s.End = s.pos
	s.state = data
	return t
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// space reports whether c is one of the tokenizer's white space: tab, line
// feed, form feed, carriage return, space.
func space(c byte) bool {
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f')
}

// Closing returns what would end the comment, doctype or CDATA section that
// the input ran out in.
func (s *Scanner) Closing() string {
	switch s.state {
	case comment:
		return "-->"
	case cdata:
		return "]]>"
	}
	return ">"
}

// DropTag has s forget what it has read of an unfinished tag, b being the
// buffer given to Next: it then only looks for the tag's end. The tag's Attrs are empty.
func (s *Scanner) DropTag(b []byte) {
	if !s.dropped && s.state != tagName {
		name := s.Start + 1
		if s.end {
			name++
		}
		s.Element = s.element(b, name, s.NameEnd)
	}
	s.dropped = true
	s.Attrs = s.Attrs[:0]
	s.Start = s.pos
}
