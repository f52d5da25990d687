package demo

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"text/template"
	"time"
)

//go:embed site
var siteFiles embed.FS

// Pages lists the addresses of the demo site's pages.
var Pages = []string{"/", "/product", "/blog", "/pricing", "/contact", "/app"}

// Site is the demo's marketing site. It serves its pages as a site without
// askfirst would: trackers, tracking cookies and all.
type Site struct {
	files map[string]file
}

type file struct {
	contentType string
	body        []byte
}

// NewSite renders the pages with their tags pointing at origin(host) for each
// third-party host, such as https://www.googletagmanager.com.
func NewSite(origin func(host string) string) *Site {
	layout := template.Must(template.New("layout.html").
		Funcs(template.FuncMap{"at": origin}).
		ParseFS(siteFiles, "site/layout.html"))
	s := &Site{files: map[string]file{}}
	err := fs.WalkDir(siteFiles, "site", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Base(name) == "layout.html" {
			return err
		}
		text, err := siteFiles.ReadFile(name)
		if err != nil {
			return err
		}
		address := strings.TrimPrefix(name, "site")
		if path.Ext(name) != ".html" {
			s.files[address] = file{contentTypes[path.Ext(name)], text}
			return nil
		}
		page, err := template.Must(layout.Clone()).Parse(string(text))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := page.Execute(&b, nil); err != nil {
			return err
		}
		address = strings.TrimSuffix(address, ".html")
		if address == "/home" {
			address = "/"
		}
		s.files[address] = file{contentTypes[".html"], b.Bytes()}
		return nil
	})
	if err != nil {
		panic(err) // the files are embedded: a test renders them
	}
	return s
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/stats/matomo.php":
		w.WriteHeader(http.StatusNoContent)
		return
	case strings.HasPrefix(r.URL.Path, "/app/"):
		r.URL.Path = "/app"
	}
	f, ok := s.files[r.URL.Path]
	if !ok {
		f = s.files["/404"]
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	if strings.HasPrefix(f.contentType, "text/html") {
		s.setCookies(w, r)
		h.Add("Link", "<https://connect.facebook.net>; rel=preconnect, </style.css>; rel=preload; as=style")
		h.Set("Cache-Control", "no-cache")
	} else {
		h.Set("Cache-Control", "max-age=3600")
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		w.Write(f.body)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// setCookies sets what such a site's server sets: the cart, once something is
// put into it, and two cookies that its server-side tagging tracks visitors with.
func (s *Site) setCookies(w http.ResponseWriter, r *http.Request) {
	if size := r.FormValue("add"); size != "" {
		http.SetCookie(w, &http.Cookie{Name: "cart", Value: url.QueryEscape(size), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	http.SetCookie(w, &http.Cookie{Name: "_ga", Value: "GA1.1.1740000000.1740000000", Path: "/", MaxAge: 63072000, HttpOnly: true})
	http.SetCookie(w, &http.Cookie{Name: "_fbp", Value: "fb.0.1740000000000.1098765432", Path: "/", MaxAge: 7776000, HttpOnly: true})
}
