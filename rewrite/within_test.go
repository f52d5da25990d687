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

func TestRefreshURL(t *testing.T) {
	for content, want := range map[string]string{
		"5; url=https://a.example/": "https://a.example/", "5;URL = 'https://a.example/' x": "https://a.example/", "0,https://a.example/": "https://a.example/",
		".5 https://a.example/": "https://a.example/", "5;uri=/x": "uri=/x", "5; urn": "urn", "5; url": "url", `5; url="/x`: "/x",
		"5": "", "5;": "", "x;url=/x": "", "5x;url=/x": "",
	} {
		if got := string(refreshURL([]byte(content))); got != want {
			t.Errorf("%q leads to %q, want %q", content, got, want)
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
