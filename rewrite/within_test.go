package rewrite

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// TestMarkOfFrameIsNoWordForItsContent: a page that says that a frame is necessary says
// so of the frame, and not of what stands in it.
func TestMarkOfFrameIsNoWordForItsContent(t *testing.T) {
	const content = `<p>Text</p><script src=https://static.hotjar.com/c/hotjar-1.js></script>`
	for _, c := range []struct {
		mark    string
		granted consent.Set
		shown   bool // the frame is, less what is held in it
	}{
		{"necessary", 0, true},
		{"functional", consent.SetOf(consent.Functional), true},
		{"functional", 0, false},
	} {
		for attribute, value := range map[string]string{"srcdoc": content, "src": "data:text/html," + content} {
			out := rewritten(t, document(c.granted), []byte("<iframe data-category="+c.mark+" "+attribute+`="`+value+`">`), 0)
			shown := regexp.MustCompile(` (?:srcdoc|src)="([^"]*)"`).FindSubmatch(out)
			if shown != nil && bytes.Contains(shown[1], []byte("<script src")) {
				t.Errorf("granted %s, %s: the script acts in %s", c.granted, c.mark, out)
			}
			if attribute == "srcdoc" && (shown != nil) != c.shown {
				t.Errorf("granted %s, %s: %s", c.granted, c.mark, out)
			}
		}
	}
}

// TestFrameOfSeveralCategories: a frame in whose document things of several categories
// are held is not held for one of them, which would release all.
func TestFrameOfSeveralCategories(t *testing.T) {
	const pixel, post = `<img src=https://www.facebook.com/tr?id=1>`, `<script src=https://www.instagram.com/embed.js></script>`
	for _, c := range []struct{ content, want string }{
		{pixel + pixel, "marketing"},
		{post, "social"},
		{pixel + post, ""},
		{`<iframe srcdoc='` + pixel + post + `'></iframe>`, ""},
		{`<iframe srcdoc='` + pixel + post + `'></iframe>` + pixel, ""},
	} {
		out := rewritten(t, document(0), []byte(`<iframe srcdoc="`+c.content+`"></iframe>`), 0)
		m := regexp.MustCompile(` srcdoc="([^"]*)"(?: data-askfirst-category="(\w+)")?`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s became %s", c.content, out)
		}
		if got := string(m[2]); got != c.want {
			t.Errorf("%s is held for %q, want %q: %s", c.content, got, c.want, out)
		}
	}
	out := rewritten(t, document(0), []byte(`<iframe src="data:text/html,<iframe srcdoc='`+pixel+post+`'></iframe>"></iframe>`), 0)
	if !bytes.Contains(out, []byte(` data-askfirst-category="social"`)) {
		t.Errorf("a frame of a data: URL, which is held as a whole: %s", out)
	}
}

func TestRefreshURL(t *testing.T) {
	for content, want := range map[string]string{
		"5; url=https://a.example/": "https://a.example/", "5;URL = 'https://a.example/' x": "https://a.example/", "0,https://a.example/": "https://a.example/",
		".5 https://a.example/": "https://a.example/", "5;uri=/x": "uri=/x", "5; urn": "urn", "5; url": "url", `5; url="/x`: "/x",
		"5": "", "5;": "", "x;url=/x": "", "5x;url=/x": "",
	} {
		if got, last := refreshURL([]byte(content)); string(got) != want || string(last) != want {
			t.Errorf("%q leads to %q and %q, want %q", content, got, last, want)
		}
	}
}

// TestClosed: a page that is over takes nothing more.
func TestClosed(t *testing.T) {
	var out bytes.Buffer
	rw := Acquire(&out, document(0))
	defer Release(rw)
	io.WriteString(rw, "<p>a<b")
	for range 2 {
		if err := rw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rw.Write([]byte("<p>b")); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	if _, err := rw.Revise([]byte("<p>b"), nil, &told{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	if out.String() != "<p>a<b" {
		t.Errorf("%q was written", out.String())
	}
}
