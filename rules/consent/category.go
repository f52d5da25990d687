package consent

import "strings"

// Category says what a tag or a cookie is for. A visitor agrees to categories.
type Category uint8

// The categories. Necessary needs no consent. Unclassified stands for what no
// rule knows; a visitor is never asked about it by name.
const (
	Necessary Category = iota
	Functional
	Analytics
	Marketing
	Social
	Unclassified
	categories
)

var categoryNames = [categories]string{"necessary", "functional", "analytics", "marketing", "social", "unclassified"}

// Optional lists the categories that a visitor may agree to or refuse, in the
// order in which they are shown and written to the cookie.
var Optional = [4]Category{Functional, Analytics, Marketing, Social}

// String returns the category's name as configuration and pages spell it.
func (c Category) String() string {
	if c < categories {
		return categoryNames[c]
	}
	return "invalid"
}

// ParseCategory returns the category named s, spelled in lower case.
func ParseCategory[T string | []byte](s T) (Category, bool) {
	for c, name := range categoryNames {
		if string(s) == name {
			return Category(c), true
		}
	}
	return 0, false
}

// Set is a set of categories. The zero Set holds Necessary alone: that one is
// in every Set.
type Set uint8

// All holds every category that a visitor can agree to.
const All = Set(1<<Functional | 1<<Analytics | 1<<Marketing | 1<<Social)

// SetOf returns the set of the given categories.
func SetOf(cs ...Category) Set {
	var s Set
	for _, c := range cs {
		s = s.With(c)
	}
	return s
}

// Has reports whether c is in the set. It holds for Necessary always.
func (s Set) Has(c Category) bool { return c == Necessary || s&(1<<c) != 0 }

// With returns the set with c added.
func (s Set) With(c Category) Set {
	if c == Necessary {
		return s
	}
	return s | 1<<c
}

// Without returns the set with c taken out.
func (s Set) Without(c Category) Set { return s &^ (1 << c) }

// Empty reports whether the visitor has agreed to nothing beyond Necessary.
func (s Set) Empty() bool { return s&All == 0 }

// Categories returns what the visitor has agreed to, in the order of Optional.
func (s Set) Categories() []Category {
	var cs []Category
	for _, c := range Optional {
		if s.Has(c) {
			cs = append(cs, c)
		}
	}
	return cs
}

const setLetters = "fams"

// AppendText appends the set as the consent cookie spells it: some of the
// letters f, a, m and s in this order, or "-" for none.
func (s Set) AppendText(dst []byte) ([]byte, error) {
	if s.Empty() {
		return append(dst, '-'), nil
	}
	for i, c := range Optional {
		if s.Has(c) {
			dst = append(dst, setLetters[i])
		}
	}
	return dst, nil
}

// String returns the set as the consent cookie spells it.
func (s Set) String() string {
	b, _ := s.AppendText(nil)
	return string(b)
}

// ParseSet reads what AppendText writes. Letters out of order, repeated or
// unknown are refused.
func ParseSet[T string | []byte](text T) (Set, bool) {
	if string(text) == "-" {
		return 0, true
	}
	var s Set
	last := -1
	for i := 0; i < len(text); i++ {
		n := strings.IndexByte(setLetters, text[i])
		if n <= last {
			return 0, false
		}
		last = n
		s = s.With(Optional[n])
	}
	return s, len(text) > 0
}
