package consent

import (
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1_790_000_000, 0)

func choice(categories Set) Choice {
	return Choice{Revision: 3, Categories: categories, At: now, ID: ID{0: 1, 15: 255}}
}

func TestCookieRoundTrip(t *testing.T) {
	for set := range All + 1 {
		want := choice(set & All)
		text := want.AppendCookie(nil)
		got, ok := ParseCookie(text, now.Add(time.Hour), 3, DefaultMaxAge)
		if !ok || got.Categories != want.Categories || got.ID != want.ID || !got.At.Equal(want.At) || got.Revision != 3 {
			t.Errorf("%s: got %+v, %t", text, got, ok)
		}
	}
}

func TestCookieThatCountsAsNone(t *testing.T) {
	const id = "AQAAAAAAAAAAAAAAAAAA_w"
	good := "1.3.am.1790000000." + id
	if c, ok := ParseCookie([]byte(good), now, 3, DefaultMaxAge); !ok || c.Categories != SetOf(Analytics, Marketing) {
		t.Fatalf("%s: %+v, %t", good, c, ok)
	}
	for name, value := range map[string]string{
		"empty":                "",
		"no dots":              "1",
		"other version":        "2.3.am.1790000000." + id,
		"older revision":       "1.2.am.1790000000." + id,
		"newer revision":       "1.4.am.1790000000." + id,
		"revision with zeros":  "1.03.am.1790000000." + id,
		"revision with sign":   "1.+3.am.1790000000." + id,
		"revision too large":   "1.4294967299.am.1790000000." + id,
		"letters out of order": "1.3.ma.1790000000." + id,
		"letter twice":         "1.3.aa.1790000000." + id,
		"unknown letter":       "1.3.ax.1790000000." + id,
		"no letters":           "1.3..1790000000." + id,
		"dash and letters":     "1.3.-a.1790000000." + id,
		"from the future":      "1.3.am.1790000061." + id,
		"expired":              "1.3.am.1774447999." + id,
		"no time":              "1.3.am.." + id,
		"time too large":       "1.3.am.99999999999999999999." + id,
		"time overflows":       "1.3.am.9223372036854775807." + id,
		"no id":                "1.3.am.1790000000.",
		"id too short":         "1.3.am.1790000000." + id[1:],
		"id too long":          good + "A",
		"id in other base64":   "1.3.am.1790000000." + strings.Replace(id, "_", "/", 1),
		"id with spare bits":   "1.3.am.1790000000." + id[:21] + "x",
		"id with newline":      "1.3.am.1790000000." + id[:21] + "\n",
		"something after":      good + ".x",
		"quoted":               `"` + good + `"`,
	} {
		if c, ok := ParseCookie([]byte(value), now, 3, DefaultMaxAge); ok {
			t.Errorf("%s: %q was taken as %+v", name, value, c)
		}
	}
}

func TestStand(t *testing.T) {
	made := choice(SetOf(Analytics))
	for _, c := range []struct {
		regime Regime
		choice *Choice
		signal Objection
		want   Set
	}{
		{OptIn, nil, NoObjection, 0},
		{OptIn, nil, GPC, 0},
		{OptIn, &made, GPC, SetOf(Analytics)},
		{OptOut, nil, NoObjection, All},
		{OptOut, nil, GPC, SetOf(Functional, Analytics)},
		{OptOut, &made, NoObjection, SetOf(Analytics)},
		{Notice, nil, NoObjection, All},
		{Notice, nil, GPC, SetOf(Functional, Analytics)},
		{OptOut, nil, DNT, SetOf(Functional, Analytics)},
	} {
		got := Stand(c.regime, c.choice, c.signal)
		if got.Granted != c.want || got.Made != (c.choice != nil) {
			t.Errorf("Stand(%s, %v, %d) grants %s, want %s", c.regime, c.choice != nil, c.signal, got.Granted, c.want)
		}
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for c := range categories {
		if got, ok := ParseCategory(c.String()); !ok || got != c {
			t.Errorf("%s is read as %s", c, got)
		}
	}
	for r := range regimes {
		if got, ok := ParseRegime(r.String()); !ok || got != r {
			t.Errorf("%s is read as %s", r, got)
		}
	}
	for set := range All + 1 {
		set &= All
		if got, ok := ParseSet(set.String()); !ok || got != set {
			t.Errorf("%s is read as %s", set, got)
		}
	}
}

func TestIDsDiffer(t *testing.T) {
	if first, second := NewID(), NewID(); first == second {
		t.Error("two IDs are equal")
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	c := choice(All)
	value := c.AppendCookie(nil)
	if n := testing.AllocsPerRun(100, func() { ParseCookie(value, now, 3, DefaultMaxAge) }); n != 0 {
		t.Errorf("ParseCookie allocates %v times", n)
	}
	buffer := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buffer = c.AppendCookie(buffer[:0]) }); n != 0 {
		t.Errorf("AppendCookie allocates %v times", n)
	}
}

// What is taken as a choice is written back as it came.
func FuzzParseCookie(f *testing.F) {
	c := choice(All)
	f.Add(c.AppendCookie(nil))
	f.Add([]byte("1.3.-.1790000000.AQAAAAAAAAAAAAAAAAAA_w"))
	f.Add([]byte("1.3.am"))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, ok := ParseCookie(value, now, 3, DefaultMaxAge)
		if !ok {
			return
		}
		if got := c.AppendCookie(nil); string(got) != string(value) {
			t.Errorf("%q is written back as %q", value, got)
		}
	})
}

func BenchmarkParseCookie(b *testing.B) {
	c := choice(All)
	value := c.AppendCookie(nil)
	b.ReportAllocs()
	for b.Loop() {
		ParseCookie(value, now, 3, DefaultMaxAge)
	}
}

func BenchmarkAppendCookie(b *testing.B) {
	c := choice(All)
	buffer := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buffer = c.AppendCookie(buffer[:0])
	}
}
