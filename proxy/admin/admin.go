package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"path"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/audit"
)

// Options are what the pages show.
type Options struct {
	Store *audit.Store
	// Sites returns what is in force by the names of the sites; nil for none.
	Sites func() map[string]Site
	// Ready reports whether visitors are served; nil for always.
	Ready func() bool
	// Metrics writes the proxy's metrics in Prometheus' text format; nil for none.
	Metrics func(io.Writer)
	// Reload puts the configuration in force as it is in its file now; its error
	// says why it was not. Nil where there is none to reload.
	Reload func(context.Context) error
	// Profiling serves Go's profiles under /debug/pprof/.
	Profiling bool
	// Contacts returns the third parties that were contacted so far. Only the
	// demo, whose third parties are its own, can know; nil otherwise.
	Contacts func() []Contact
	// Previews returns what asks the visitors of each site; nil for none.
	Previews func() map[string]Previewer
	// Classifier puts what operators classify into force; nil where that is left
	// to the configuration.
	Classifier Classifier
	// Access is who may see and change what.
	Access configs.AdminAccess
	// Trusted are the proxies that are believed whom they forward for, where
	// Access.BehindTLS is set.
	Trusted []netip.Prefix
	Log     *slog.Logger
}

// Contact is a third party that was contacted.
type Contact struct {
	Host     string `json:"host"`
	Vendor   string `json:"vendor"`
	Requests int    `json:"requests"`
	// Cookies is how many cookies it has set.
	Cookies int `json:"cookies"`
}

// Admin serves the operator's pages.
type Admin struct {
	o       Options
	now     func() time.Time
	begun   time.Time
	door    *doorkeeper
	streams chan struct{}
	exports chan struct{} // taken by the one under way
}

// New returns an Admin.
func New(o Options) *Admin {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Admin{o: o, now: time.Now, begun: time.Now(), door: newDoorkeeper(o.Access, o.Trusted, time.Now), streams: make(chan struct{}, maxStreams), exports: make(chan struct{}, 1)}
}

// Handler returns the handler of the admin listener.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range a.routes() {
		mux.HandleFunc(pattern, handler)
	}
	return a.protect(mux)
}

// routes are all that is served, by the mux's patterns.
func (a *Admin) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"GET /healthz":              a.healthz,
		"GET /readyz":               a.readyz,
		"GET /metrics":              a.metrics,
		"GET /assets/{name}":        serveAsset,
		"GET /signin":               a.signIn,
		"POST /signin":              a.signIn,
		"POST /signout":             a.signOut,
		"GET /{$}":                  a.page(a.overview),
		"GET /unclassified":         a.page(a.unclassified),
		"POST /unclassified":        a.classify,
		"GET /changes":              a.page(a.changes),
		"GET /receipts":             a.page(a.receipts),
		"GET /receipts/{id}":        a.page(a.receipt),
		"POST /receipts/{id}/erase": a.erase,
		"GET /log":                  a.page(a.operations),
		"GET /preview":              a.page(a.preview),
		"GET /preview/frame":        a.previewFrame,
		"GET /health":               a.page(a.health),
		"GET /report":               a.report,
		"GET /live":                 a.live,
		"POST /reload":              a.reload,
	}
	for _, l := range listings {
		routes["GET "+l.path] = a.page(a.listing(l))
	}
	if a.o.Profiling {
		routes["GET /debug/pprof/"] = pprof.Index
		routes["GET /debug/pprof/profile"] = pprof.Profile
		routes["GET /debug/pprof/trace"] = pprof.Trace
		routes["GET /debug/pprof/symbol"] = pprof.Symbol
	}
	return routes
}

//go:embed templates/*.html
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"asset":    assetURL,
	"count":    count,
	"withheld": withheld,
	"plural":   plural,
	"int64":    func(n int) int64 { return int64(n) },
	"day":      func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
	"moment":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
}).ParseFS(templateFiles, "templates/*.html"))

//go:generate go run ./bundle

//go:embed dist web/icon.svg
var webFiles embed.FS

// assets are style, script and icon by the name under which they are served,
// which carries their hash so that browsers may keep them for good.
var assets, assetNames = loadAssets()

func loadAssets() (map[string][]byte, map[string]string) {
	files, names := make(map[string][]byte), make(map[string]string)
	for _, file := range []string{"dist/admin.css", "dist/admin.js", "web/icon.svg"} {
		name := path.Base(file)
		data, err := fs.ReadFile(webFiles, file)
		if err != nil {
			panic(err) // embedded at build time
		}
		sum := sha256.Sum256(data)
		hashed := hex.EncodeToString(sum[:6]) + "." + name
		files[hashed], names[name] = data, hashed
	}
	return files, names
}

func assetURL(name string) string { return "/assets/" + assetNames[name] }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	data, ok := assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, r.PathValue("name"), time.Time{}, bytes.NewReader(data))
}

// pageTime is how long a page may take.
const pageTime = 20 * time.Second

// page makes a handler of a function that gathers what a template shows. What
// is being counted is written first, so that the page is up to date.
func (a *Admin) page(gather func(*request) (*view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		format, most := r.FormValue("format"), pageTime
		if format != "" {
			most = exportTime
		}
		ctx, cancel := context.WithTimeout(r.Context(), most)
		defer cancel()
		// Flush logs and counts what goes wrong; the page then shows what is there.
		_ = a.o.Store.Flush(ctx)
		req := &request{Request: r.WithContext(ctx), who: identityOf(r), filter: a.filterOf(r), format: format}
		var v *view
		var err error
		if req.sites, err = a.o.Store.Sites(ctx); err == nil {
			v, err = gather(req)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			v, err = &view{Template: "message", Title: "Not found", Message: "There is nothing under this address."}, nil
			v.Status = http.StatusNotFound
		case err != nil && r.Context().Err() != nil:
			return
		case err != nil:
			a.o.Log.Error("admin page", "path", r.URL.Path, "error", err)
			v = &view{Template: "message", Title: "Not available", Message: "The records could not be read. The log says why."}
			v.Status = http.StatusInternalServerError
		}
		if v.Table != nil && req.format != "" {
			a.export(w, req, v.Table)
			return
		}
		a.render(w, req, v)
	}
}

// render writes a page. It is complete in memory first, so that an error in
// it does not leave half a page.
func (a *Admin) render(w http.ResponseWriter, r *request, v *view) {
	a.frame(r, v)
	var buf bytes.Buffer
	if err := templates.ExecuteTemplate(&buf, v.Template, v); err != nil {
		a.o.Log.Error("admin page", "path", r.URL.Path, "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
	}
	w.Write(buf.Bytes())
}
