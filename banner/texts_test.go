package banner

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/askfirst/askfirst/rules/consent"
)

// wanted are the official languages of the European Union and those beside
// them that askfirst promises.
var wanted = strings.Fields(`bg cs da de el en es et fi fr ga hr hu it lt lv mt nl pl pt ro sk sl sv
	no is uk tr ar he ja ko zh-Hans zh-Hant pt-BR hi`)

var placeholderPattern = regexp.MustCompile(`\{[a-z]+\}`)

// embedded returns the tags of the embedded languages, sorted.
func embedded() []string {
	all, _ := embeddedTexts()
	return slices.Sorted(maps.Keys(all))
}

func TestTextsAreWhole(t *testing.T) {
	all, err := embeddedTexts()
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, slices.Sorted(slices.Values(wanted))) {
		t.Errorf("languages: got %v", got)
	}
	english := all[reference]
	if len(english) != 109 {
		t.Errorf("there are %d texts; if some came or went, this count follows", len(english))
	}
	for _, tag := range slices.Sorted(maps.Keys(all)) {
		for key, want := range english {
			got := all[tag][key]
			if strings.TrimSpace(got) == "" {
				t.Errorf("%s: %s is missing", tag, key)
			}
			if strings.Contains(got, "|") {
				checkForms(t, tag, key, got)
				continue
			}
			if a, b := placeholders(got), placeholders(pluralForm("other="+want, "other")); !slices.Equal(a, b) && key != "box_text" {
				t.Errorf("%s: %s fills in %v where English fills in %v", tag, key, a, b)
			}
			if strings.ContainsAny(got, "⟦⟧<>") {
				t.Errorf("%s: %s holds markup or a slot", tag, key)
			}
		}
		for key := range all[tag] {
			if _, known := english[key]; !known {
				t.Errorf("%s: %s is no text of English", tag, key)
			}
		}
		for _, name := range []string{"{vendor}", "{company}", "{country}"} {
			if strings.Count(all[tag]["box_text"], name) != 1 {
				t.Errorf("%s: box_text names %s not once", tag, name)
			}
		}
		if dir := all[tag]["dir"]; dir != map[bool]string{true: "rtl", false: "ltr"}[tag == "ar" || tag == "he"] {
			t.Errorf("%s: written %s", tag, dir)
		}
		// Refusing must never read like agreeing.
		if all[tag]["accept_all"] == all[tag]["reject_all"] || all[tag]["accept_all"] == all[tag]["settings"] {
			t.Errorf("%s: two buttons read alike", tag)
		}
	}
}

// checkForms demands of a text with several forms one for each category that a
// whole number can be in, and no others.
func checkForms(t *testing.T, tag, key, text string) {
	t.Helper()
	needed, got := map[string]bool{"other": true}, map[string]bool{}
	for n := range 200 {
		needed[pluralOf(tag, strconv.Itoa(n))] = true
	}
	for form := range strings.SplitSeq(text, "|") {
		name, form, ok := strings.Cut(form, "=")
		got[name] = true
		if !ok || !slices.Contains(slices.Collect(maps.Values(pluralNames)), name) {
			t.Errorf("%s: %s: %q is no category", tag, key, name)
		}
		if !strings.Contains(form, "{n}") && name != "one" && name != "two" {
			t.Errorf("%s: %s: %s=%s does not say how many", tag, key, name, form)
		}
	}
	for name := range needed {
		if form := pluralForm(text, name); form == "" {
			t.Errorf("%s: %s has no form for %s", tag, key, name)
		}
	}
	for name := range got {
		if !needed[name] {
			t.Errorf("%s: %s has a form for %s, in which no number is", tag, key, name)
		}
	}
}

func TestCounting(t *testing.T) {
	b := newBanner(t, Options{})
	for _, c := range []struct{ tag, retention, want string }{
		{"en", "1y", "1 year"}, {"en", "2y", "2 years"}, {"en", "13mo", "13 months"}, {"en", "session", "Session"},
		{"it", "1y", "1 anno"}, {"fr", "2y", "2 ans"}, {"pl", "2y", "2 lata"}, {"pl", "5y", "5 lat"}, {"pl", "22mo", "22 miesiące"},
		{"sl", "2y", "2 leti"}, {"ar", "2y", "سنتان"}, {"ar", "3y", "3 سنوات"}, {"ar", "13mo", "13 شهرًا"}, {"ro", "20y", "20 de ani"},
		{"uk", "21d", "21 день"}, {"lt", "10d", "10 dienų"}, {"he", "2y", "שנתיים"}, {"ja", "2y", "2年"}, {"cs", "180d", "180 dní"},
	} {
		l := b.languages.list[b.languages.index[c.tag]]
		if got := retention(&l, c.retention); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.retention, c.tag, got, c.want)
		}
	}
}

// What the catalogue says of cookies in English is said in the page's language;
// what is left of it is marked as English.
func TestPurposesAreSaidInEveryLanguage(t *testing.T) {
	b := newBanner(t, Options{})
	german, english := &b.languages.list[b.languages.index["de"]], &b.languages.list[b.languages.index["en"]]
	for _, c := range []struct{ catalogue, want string }{
		{"Recognises the browser on other sites, to choose and measure ads.", "Erkennt den Browser auch auf anderen Websites wieder. Zählt und misst, wie die Website genutzt wird. Wählt, begrenzt oder misst Werbung."},
		{"Recognises a reader, to know what they read.", "Erkennt den Browser wieder, wenn er zurückkehrt."}, // no ad in it
		{"Keeps which account is in use.", "Hält die Anmeldung aufrecht oder merkt sich Warenkorb und Bestellung."},
		{"Notes that the visitor opted out.", "Merkt sich, was erlaubt oder abgelehnt wurde."},
		{"Is of no known kind.", "Is of no known kind."},
	} {
		said, isEnglish := german.purpose(c.catalogue)
		if said != c.want || isEnglish != (said == c.catalogue) {
			t.Errorf("%s is said %q, English %v", c.catalogue, said, isEnglish)
		}
		if said, marked := english.purpose(c.catalogue); said != c.catalogue || marked {
			t.Errorf("in English %q is said %q, marked %v", c.catalogue, said, marked)
		}
	}
	all, left := 0, 0
	for _, v := range b.engine.Vendors() {
		for _, c := range slices.Concat(v.Cookies, v.Storage) {
			all++
			if _, isEnglish := german.purpose(c.Purpose); isEnglish {
				left++
			}
		}
	}
	t.Logf("of %d purposes %d are said in English", all, left)
	if left > all/20 {
		t.Errorf("of %d purposes %d are said in English, more than one in twenty", all, left)
	}
}

func placeholders(s string) []string {
	found := placeholderPattern.FindAllString(s, -1)
	slices.Sort(found)
	return found
}

// TestTextsAreUsed fails for a text that no template and no code asks for.
func TestTextsAreUsed(t *testing.T) {
	all, err := embeddedTexts()
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				source.Write(data)
			}
		}
	}
	computed := regexp.MustCompile(`^(box_.*|(necessary|functional|analytics|marketing|social)(_text)?)$`)
	for key := range all[reference] {
		if computed.MatchString(key) {
			continue
		}
		if !regexp.MustCompile(`T\.` + key + `\b|\$t\.` + key + `\b|"` + key + `"`).MatchString(source.String()) {
			t.Errorf("%s is asked for nowhere", key)
		}
	}
}

func TestLanguageIsChosen(t *testing.T) {
	b := newBanner(t, Options{Language: "sv"})
	for _, c := range []struct{ page, accept, want string }{
		{"", "", "sv"},
		{"de", "fr", "de"},
		{"de-AT", "fr", "de"},
		{"DE_at", "fr", "de"},
		{"xx", "fr", "fr"},
		{"", "fr-CA,fr;q=0.9", "fr"},
		{"", "da;q=0.5, it;q=0.8", "it"},
		{"", "da;q=0, it;q=0.001", "it"},
		{"", "da;q=0", "sv"},
		{"", "xx, yy;q=0.5", "sv"},
		{"", "*", "sv"},
		{"", "da;q=nonsense,it;q=0.1", "it"},
		{"", "da;q=1.0000", "sv"},
		{"zh", "", "zh-Hans"},
		{"zh-TW", "", "zh-Hant"},
		{"zh-HK", "", "zh-Hant"},
		{"zh-Hant-HK", "", "zh-Hant"},
		{"zh-CN", "", "zh-Hans"},
		{"pt-BR", "", "pt-BR"},
		{"pt-PT", "", "pt"},
		{"nb-NO", "", "no"},
		{"nn", "", "no"},
		{"iw", "", "he"},
		{strings.Repeat("a", 400), "", "sv"},
		{"-", ",;,;;q=", "sv"},
	} {
		if got := b.Language([]byte(c.page), []byte(c.accept)); got != c.want {
			t.Errorf("page %.20q, browser %q: asked in %s, want %s", c.page, c.accept, got, c.want)
		}
	}
}

func TestTextsOfTheOperator(t *testing.T) {
	b := newBanner(t, Options{Texts: map[string]map[string]string{"en": {"title": "Biscuits & <you>"}}})
	if got := string(b.AppendFoot(nil, &View{}, nil)); !strings.Contains(got, "Biscuits &amp; &lt;you&gt;") {
		t.Error("the operator's title is not shown, or not escaped")
	}
	for _, o := range []Options{
		{Texts: map[string]map[string]string{"en": {"titel": "x"}}},
		{Texts: map[string]map[string]string{"tlh": {"title": "x"}}},
		{Texts: map[string]map[string]string{"de": {"title": ""}}},
		{Language: "tlh"},
	} {
		if _, err := New(o, newEngine(t), &memory{}, &watcher{}); err == nil {
			t.Errorf("%v was taken", o)
		}
	}
	whole := maps.Clone(b.languages.list[b.languages.index["en"]].texts)
	if _, err := New(Options{Language: "tlh", Texts: map[string]map[string]string{"tlh": whole}}, newEngine(t), &memory{}, &watcher{}); err != nil {
		t.Errorf("a whole language of the operator's: %v", err)
	}
}

// TestMarkupIsSmall holds the banner, as it stands in a page, to 4 KiB of
// brotli in every language and layout.
func TestMarkupIsSmall(t *testing.T) {
	most, where := 0, ""
	for _, layout := range Layouts {
		b := newBanner(t, Options{Title: "A shop with a longer name", PolicyURL: "/privacy", Layout: layout})
		for _, tag := range embedded() {
			for _, made := range []bool{false, true} {
				v := &View{Return: []byte("/blog/a-post-of-the-usual-length?utm_source=x"), Standing: consent.Standing{Made: made}}
				var out bytes.Buffer
				w := brotli.NewWriterLevel(&out, 5)
				w.Write(b.AppendFoot(nil, v, []byte(tag)))
				w.Close()
				if out.Len() > most {
					most, where = out.Len(), fmt.Sprint(layout, " ", tag, " made ", made)
				}
			}
		}
	}
	t.Logf("largest: %d bytes (%s)", most, where)
	if most > 4<<10 {
		t.Errorf("the banner takes %d bytes of brotli (%s), more than 4 KiB", most, where)
	}
}

// TestEvenHanded compares the three controls of the first layer by what the
// markup gives each: the same element styles and no class of its own.
func TestEvenHanded(t *testing.T) {
	b := newBanner(t, Options{})
	markup := string(b.AppendFoot(nil, &View{}, nil))
	if strings.Contains(markup, " checked") {
		t.Error("a box is ticked before the visitor ticks it")
	}
	for _, control := range []string{"<summary data-askfirst=\"settings\">", "<button name=\"choice\" value=\"reject-all\" data-askfirst=\"reject-all\">", "<button name=\"choice\" value=\"accept-all\" data-askfirst=\"accept-all\">"} {
		if strings.Count(markup, control) != 1 {
			t.Errorf("%s: not there once", control)
		}
	}
}
