package audit

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFolding(t *testing.T) {
	for path, want := range map[string]string{
		"":                  "/",
		"/":                 "/",
		"/?utm_source=mail": "/",
		"/blog/":            "/blog/",
		"/blog/how-to-choose-the-best-running-shoes-in-2024": "/blog/how-to-choose-the-best-running-shoes-in-2024",
		"/iPhone-15-Pro-Max-Case-Black":                      "/iPhone-15-Pro-Max-Case-Black",
		"/Donaudampfschifffahrtsgesellschaft.html":           "/Donaudampfschifffahrtsgesellschaft.html",
		"/2024/05/12/spring#top":                             "/{n}/{n}/{n}/spring",
		"/product/12":                                        "/product/{n}",
		"/product-1234567.html":                              "/product-{n}.html",
		"/en-GB/v2/h1":                                       "/en-GB/v2/h1",
		"/tel/+43-1-5550123":                                 "/tel/{n}",
		"/order/550e8400-e29b-41d4-a716-446655440000/paid":   "/order/{id}/paid",
		"/r/d41d8cd98f00b204e9800998ecf8427e":                "/r/{id}",
		"/reset/Zk3q9XvT2mLp8RwYc5Nb":                        "/reset/{id}",
		"/jwt/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U": "/jwt/{id}",
		"/u/ann@example.com/edit":                      "/u/{mail}/edit",
		"/u/ann%40example.com":                         "/u/{mail}",
		"/@ann":                                        "/@ann",
		"/cart;jsessionid=8A1F0B2C":                    "/cart",
		"/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82":        "/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
		"/straße/привет":                               "/straße/привет",
		"/a\x00b\xffc":                                 "/a?b?c",
		"/<script>alert(1)</script>":                   "/<script>alert(1)</script>",
		"/" + strings.Repeat("word/", 60):              "/" + strings.Repeat("word/", 31) + "word…",
		"/" + strings.Repeat("x", 3*maxPath) + "/more": "/{id}/more",
	} {
		if got := string(AppendFolded(nil, []byte(path))); got != want {
			t.Errorf("%q folds to %q, want %q", path, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add([]byte("/u/ann%40example.com/12?q=1"))
	f.Add([]byte("/\xd0\xbf\xff;x/%4"))
	f.Fuzz(func(t *testing.T, path []byte) {
		got := AppendFolded(nil, path)
		if len(got) > maxPath+len(foldCut) {
			t.Errorf("%d bytes long", len(got))
		}
		if !utf8.Valid(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if bytes.ContainsAny(got, "?#;") && !bytes.ContainsFunc(path, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
			t.Errorf("%q keeps a query or parameters", got)
		}
		if got[0] == '/' && len(path) > 0 && path[0] == '/' {
			again := AppendFolded(nil, got)
			if !bytes.HasSuffix(got, []byte(foldCut)) && !bytes.Contains(got, []byte("?")) && !bytes.Equal(again, got) {
				t.Errorf("%q folds on to %q", got, again)
			}
		}
	})
}
