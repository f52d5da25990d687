package banner

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"golang.org/x/text/feature/plural"
	textlanguage "golang.org/x/text/language"
)

//go:embed i18n/*.yml
var i18n embed.FS

// reference is the language whose keys every other must have.
const reference = "en"

// texts are the strings of one language by key. In them {site}, {vendor},
// {company}, {country}, {category} and {n} stand for what is filled in.
type texts map[string]string

// embeddedTexts parses the embedded languages, by their BCP 47 tag.
var embeddedTexts = sync.OnceValues(func() (map[string]texts, error) {
	files, err := fs.Glob(i18n, "i18n/*.yml")
	if err != nil {
		return nil, err
	}
	all := make(map[string]texts, len(files))
	for _, file := range files {
		data, err := i18n.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var t texts
		if err := yaml.Unmarshal(data, &t); err != nil {
			return nil, fmt.Errorf("banner: read %s: %w", file, err)
		}
		all[strings.TrimSuffix(path.Base(file), ".yml")] = t
	}
	return all, nil
})

// language is one language that pages can be asked in.
type language struct {
	tag   string // BCP 47, as pages spell it
	key   string // tag in lower case
	texts texts
}

// languages are those that a Banner knows, in the order of their keys.
type languages struct {
	list     []language
	index    map[string]int // by key
	fallback int
}

// newLanguages lays the operator's texts over the embedded ones. A language
// that is not embedded is taken if it is whole.
func newLanguages(fallback string, overrides map[string]map[string]string) (*languages, error) {
	embedded, err := embeddedTexts()
	if err != nil {
		return nil, err
	}
	keys := embedded[reference]
	all := make(map[string]texts, len(embedded))
	for tag, t := range embedded {
		all[strings.ToLower(tag)] = t
	}
	spelling := map[string]string{}
	for tag := range embedded {
		spelling[strings.ToLower(tag)] = tag
	}
	var errs []error
	for _, tag := range slices.Sorted(maps.Keys(overrides)) {
		key := strings.ToLower(tag)
		merged := maps.Clone(all[key])
		if merged == nil {
			merged = texts{"dir": "ltr"}
			spelling[key] = tag
		}
		for _, k := range slices.Sorted(maps.Keys(overrides[tag])) {
			v := overrides[tag][k]
			if want, known := keys[k]; known {
				errs = append(errs, uneven(tag, k, v, want))
			} else {
				errs = append(errs, &Fault{"texts." + tag + "." + k, fmt.Sprintf("no text is called %q", k)})
			}
			merged[k] = v
		}
		errs = append(errs, alike(tag, merged, overrides[tag]))
		all[key] = merged
	}
	l := &languages{index: make(map[string]int, len(all))}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if all[key][k] == "" {
				errs = append(errs, &Fault{"texts." + spelling[key], fmt.Sprintf("the text %q is missing or empty", k)})
			}
		}
		l.index[key] = len(l.list)
		l.list = append(l.list, language{tag: spelling[key], key: key, texts: all[key]})
	}
	if fallback == "" {
		fallback = reference
	}
	i, ok := l.match([]byte(fallback))
	if !ok {
		errs = append(errs, &Fault{"language", fmt.Sprintf("there are no texts in %q", fallback)})
	}
	l.fallback = i
	return l, errors.Join(errs...)
}

var slotPattern = regexp.MustCompile(`\{[a-z]*\}`)

// uneven refuses an operator's text that fills in what the embedded one does not,
// or leaves out whom it is about.
func uneven(tag, key, text, embedded string) error {
	for _, name := range slotPattern.FindAllString(text, -1) {
		if !strings.Contains(embedded, name) {
			return &Fault{"texts." + tag + "." + key, fmt.Sprintf("%s cannot be filled in here", name)}
		}
	}
	if key == "box_text" {
		for _, name := range []string{"{vendor}", "{company}", "{country}"} {
			if !strings.Contains(text, name) {
				return &Fault{"texts." + tag + "." + key, name + " is missing: a placeholder says to whom data goes, and where"}
			}
		}
	}
	return nil
}

// longerLabel is how many times the longest of the labels of accepting and of
// refusing may be as long as the other.
const longerLabel = 4

// alike refuses labels of the first layer's buttons that cannot be told apart, or
// that make refusing the longer read by far.
func alike(tag string, t texts, said map[string]string) error {
	for _, key := range []string{"reject_all", "opt_out", "settings", "save"} {
		_, one := said[key]
		_, other := said["accept_all"]
		if (one || other) && strings.EqualFold(strings.TrimSpace(t[key]), strings.TrimSpace(t["accept_all"])) {
			return &Fault{"texts." + tag + "." + cmp.Or(map[bool]string{true: key}[one], "accept_all"), "reads as accept_all does: " + ruleTexts}
		}
	}
	_, one := said["reject_all"]
	_, other := said["accept_all"]
	if a, b := utf8.RuneCountInString(t["accept_all"]), utf8.RuneCountInString(t["reject_all"]); (one || other) && (a > longerLabel*b || b > longerLabel*a) {
		return &Fault{"texts." + tag + "." + cmp.Or(map[bool]string{true: "reject_all"}[one], "accept_all"), "accepting and refusing are to be read with equal ease: " + ruleTexts}
	}
	return nil
}

const ruleTexts = "EDPB Cookie Banner Taskforce report, practices C to E; CNIL guidelines of 17 September 2020, refusing is as easy as accepting"

// choose returns the language to ask in: that of the page, else the one that
// the browser likes best, else the site's.
func (l *languages) choose(page, accept []byte) int {
	if i, ok := l.match(page); ok {
		return i
	}
	best, bestQ := l.fallback, 0
	for len(accept) > 0 {
		var item []byte
		item, accept, _ = bytes.Cut(accept, comma)
		tag, params, _ := bytes.Cut(item, semicolon)
		q := quality(params)
		if q <= bestQ {
			continue
		}
		if i, ok := l.match(bytes.TrimSpace(tag)); ok {
			best, bestQ = i, q
		}
	}
	return best
}

var (
	comma     = []byte{','}
	semicolon = []byte{';'}
)

// quality reads the weight of RFC 9110 §12.4.2 in thousandths, 1000 where there
// is none and 0 where it is malformed.
func quality(params []byte) int {
	params = bytes.TrimSpace(params)
	if len(params) == 0 {
		return 1000
	}
	if len(params) < 3 || params[0]|0x20 != 'q' || params[1] != '=' || len(params) > 7 {
		return 0
	}
	v := params[2:]
	if v[0] != '0' && v[0] != '1' || len(v) > 1 && v[1] != '.' {
		return 0
	}
	q := int(v[0]-'0') * 1000
	for i, unit := 2, 100; i < len(v); i, unit = i+1, unit/10 {
		if v[i] < '0' || v[i] > '9' {
			return 0
		}
		q += int(v[i]-'0') * unit
	}
	return min(q, 1000)
}

// maxTag is the longest language tag that is looked at, in bytes.
const maxTag = 35

// match finds the language for a tag: the tag itself, else what it is written
// as by others, else the tag without its last subtags (RFC 4647 §3.4).
func (l *languages) match(tag []byte) (int, bool) {
	if len(tag) == 0 || len(tag) > maxTag {
		return 0, false
	}
	var buf [maxTag]byte
	key := buf[:len(tag)]
	for i, c := range tag {
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		key[i] = c
	}
	for {
		if i, ok := l.index[string(key)]; ok {
			return i, true
		}
		if alias, ok := aliases[string(key)]; ok {
			i, ok := l.index[alias]
			return i, ok
		}
		cut := bytes.LastIndexByte(key, '-')
		if cut < 0 {
			return 0, false
		}
		key = key[:cut]
	}
}

// aliases maps tags to those that the texts are kept under: the regions that
// write traditional Chinese (CLDR likely subtags), the forms of Norwegian, and
// codes that ISO 639 has withdrawn.
var aliases = map[string]string{
	"zh": "zh-hans", "zh-tw": "zh-hant", "zh-hk": "zh-hant", "zh-mo": "zh-hant",
	"nb": "no", "nn": "no", "iw": "he",
}

// count writes a number, in decimal digits, by the text of a key. A text may
// have several forms, category=form between bars, by the plural categories of
// its language (CLDR): one={n} day|other={n} days.
func (l *language) count(key, digits string) string {
	text := l.texts[key]
	if strings.Contains(text, "|") {
		text = pluralForm(text, pluralOf(l.tag, digits))
	}
	return strings.ReplaceAll(text, "{n}", digits)
}

// pluralNames are the categories as forms are marked with them.
var pluralNames = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

func pluralOf(tag, digits string) string {
	n, _ := strconv.Atoi(digits)
	return pluralNames[plural.Cardinal.MatchPlural(tagOf(tag), n, 0, 0, 0, 0)]
}

// tagOf parses a language's tag; a made-up one counts as English does.
func tagOf(tag string) textlanguage.Tag {
	parsed, err := textlanguage.Parse(tag)
	if err != nil {
		return textlanguage.English
	}
	return parsed
}

// pluralForm returns the form of a category, or else that of other.
func pluralForm(text, category string) string {
	other := ""
	for form := range strings.SplitSeq(text, "|") {
		name, form, _ := strings.Cut(form, "=")
		if name == category {
			return form
		}
		if name == "other" {
			other = form
		}
	}
	return other
}

// fill puts names into the text of a key, given as placeholder and name in
// turn. In a text that runs right to left each is isolated, so that a full stop
// at its end stays there (UAX #9 §2.7).
func (t texts) fill(key string, names ...string) string {
	if t["dir"] == "rtl" {
		for i := 1; i < len(names); i += 2 {
			names[i] = "\u2068" + names[i] + "\u2069"
		}
	}
	return strings.NewReplacer(names...).Replace(t[key])
}
