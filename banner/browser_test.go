package banner

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// needBrowser skips the test where there is no Chromium. Where ASKFIRST_CI is
// set a skip is a failure.
func needBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("ASKFIRST_CI") != "" {
		t.Fatal("Chromium is not installed")
	}
	t.Skip("Chromium is not installed: what a visitor sees is not tested")
	return ""
}

// browser starts Chromium and returns a function that opens tabs.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(needBrowser(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-quic", true), chromedp.Flag("hide-scrollbars", false),
		chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx)
	return ctx
}

func tab(t *testing.T, browser context.Context) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// script runs an expression in the page and waits for its promise, if it is one.
func script(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](expression, chromedp.EvalAwaitPromise)
}

// media emulates media features, given as name and value in turn.
func media(features ...string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		var p emulation.SetEmulatedMediaParams
		for i := 0; i < len(features); i += 2 {
			p.Features = append(p.Features, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
		}
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, p)
		return err
	})
}

// choosing posts a choice as the guard does.
func choosing(answer string) chromedp.Action[chromedp.Void] {
	return script("fetch('/_askfirst/consent',{method:'POST',headers:{'Content-Type':'application/json'},body:'" + answer + "'})")
}

// widgets are what the test site's page at /widgets holds.
var widgets = []Box{
	{Vendor: &rules.Vendor{ID: "video", Name: "YouTube", Company: "Google LLC", Country: "US", Widget: "video"}, Category: consent.Marketing, Element: []byte("iframe"), Width: []byte("560"), Height: []byte("315"), Title: []byte("How our bags are made")},
	{Vendor: &rules.Vendor{ID: "map", Name: "Google Maps", Company: "Google LLC", Country: "US", Widget: "map"}, Category: consent.Functional, Element: []byte("iframe"), Width: []byte("100%"), Height: []byte("240")},
	{Vendor: &rules.Vendor{ID: "small", Name: "Vimeo", Company: "Vimeo Inc.", Country: "US", Widget: "video"}, Category: consent.Marketing, Element: []byte("iframe"), Width: []byte("200"), Height: []byte("120")},
	{Vendor: &rules.Vendor{ID: "tiny", Name: "SoundCloud", Company: "SoundCloud Limited", Country: "DE", Widget: "audio"}, Category: consent.Marketing, Element: []byte("audio"), Width: []byte("300")},
	{Vendor: &rules.Vendor{ID: "comments", Name: "Disqus", Company: "Disqus, Inc.", Country: "US", Widget: "comments"}, Category: consent.Social, Element: []byte("div")},
	{Vendor: &rules.Vendor{ID: "chat", Name: "Intercom", Company: "Intercom, Inc.", Country: "US", Widget: "chat"}, Category: consent.Functional, Element: []byte("div")},
	{Category: consent.Unclassified, Element: []byte("iframe"), Width: []byte("50%"), Height: []byte("200")},
}

// serveSite serves pages with b's markup on a loopback port and returns its address.
func serveSite(t *testing.T, b *Banner) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { serveTestSite(ctx, b) }, Logger: quiet{}, NoDefaultServerHeader: true}
	go s.Serve(ln)
	t.Cleanup(func() { s.Shutdown() })
	return "http://" + ln.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func standing(ctx *fasthttp.RequestCtx) consent.Standing {
	choice, ok := consent.ParseCookie(ctx.Request.Header.Cookie(consent.CookieName), time.Now(), 1, consent.DefaultMaxAge)
	if !ok {
		return consent.Stand(consent.OptIn, nil, false)
	}
	return consent.Stand(consent.OptIn, &choice, false)
}

const story = `<h1>Bags that last</h1><p>Made by hand in a small workshop by the sea, from leather that has been tanned with bark and water for three hundred days. <a href="#x">Read how</a>.</p><h2 id="x">The workshop</h2><p>Nothing here is in a hurry. A bag takes a week, and then another week to rest; what is good is rarely quick. Six people work in two rooms with large windows to the north.</p>`

func serveTestSite(ctx *fasthttp.RequestCtx, b *Banner) {
	s := standing(ctx)
	if b.Owns(ctx.Path()) {
		b.Serve(ctx, &Visit{Standing: s, RegimeRule: "default", Host: string(ctx.Host()), Address: "127.0.0.0"})
		return
	}
	ctx.SetContentType("text/html; charset=utf-8")
	lang := ctx.QueryArgs().Peek("l")
	v := &View{Standing: s, Host: ctx.Host(), Return: ctx.RequestURI(), AcceptLanguage: ctx.Request.Header.Peek("Accept-Language")}
	page := []byte(`<!DOCTYPE html><html lang="` + string(lang) + `"><head>`)
	if lang == nil {
		page = []byte(`<!DOCTYPE html><html lang="en"><head>`)
	}
	page = append(page, `<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Shop</title><style>body{margin:0 auto;max-width:60em;padding:2em 1.5em;font:18px/1.6 Georgia,serif;color:#333;background:#f7f3ee}h1{font-size:2.6em}.hero{block-size:30em;background:linear-gradient(120deg,#e9d8c5,#b08968 70%,#7f5539);border-radius:8px}*{letter-spacing:.02em}button{color:red!important;display:none}section{margin:9em!important}</style></head><body><main>`...)
	page = append(page, story...)
	if string(ctx.Path()) == "/widgets" {
		for i := range widgets {
			page = append(page, "<h3>Part</h3>"...)
			page = b.AppendPlaceholder(page, v, lang, &widgets[i])
			page = append(page, `<iframe title="held" data-askfirst-src="https://third.example/"></iframe>`+BoxEnd...)
		}
	} else {
		page = append(page, `<div class="hero"></div>`...)
	}
	page = append(page, story...)
	page = append(page, "</main>"...)
	page = b.AppendFoot(page, v, lang)
	ctx.SetBody(append(page, "</body></html>"...))
}

// TestScreenshots writes pictures of all that a visitor sees into the folder
// that ASKFIRST_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("ASKFIRST_SCREENSHOTS")
	if dir == "" {
		t.Skip("ASKFIRST_SCREENSHOTS names no folder to write to")
	}
	browser := startBrowser(t)
	seen := &watcher{seen: []string{"google-analytics", "youtube", "matomo", "facebook-pixel", "meta-pixel", "intercom", "disqus", "google-fonts"}}
	sites := map[string]string{}
	for _, layout := range Layouts {
		b, err := New(Options{Site: "Bags & Co.", Layout: layout, PolicyURL: "/privacy"}, newEngine(t), &memory{}, seen)
		if err != nil {
			t.Fatal(err)
		}
		sites[layout] = serveSite(t, b)
	}
	shots := []struct {
		name, layout, path string
		dark, open, made   bool
	}{
		{"bar", "bar", "/", false, false, false},
		{"bar-dark", "bar", "/", true, false, false},
		{"bar-open", "bar", "/", false, true, false},
		{"bar-ar", "bar", "/?l=ar", false, true, false},
		{"bar-de", "bar", "/?l=de", false, false, false},
		{"bar-ja", "bar", "/?l=ja", false, false, false},
		{"box", "box", "/", false, false, false},
		{"box-open", "box", "/", true, true, false},
		{"centre", "centre", "/", false, false, false},
		{"centre-open", "centre", "/", false, true, false},
		{"made", "bar", "/", false, false, true},
		{"widgets", "bar", "/widgets", false, false, true},
		{"widgets-dark", "bar", "/widgets", true, false, true},
		{"preferences", "bar", "/_askfirst/preferences?return=/", false, false, true},
		{"preferences-dark", "bar", "/_askfirst/preferences?return=/", true, false, true},
		{"cookies", "bar", "/_askfirst/cookies", false, false, true},
		{"receipt", "bar", "/_askfirst/receipt", false, false, true},
	}
	only := os.Getenv("ASKFIRST_SCREENSHOTS_ONLY")
	for _, s := range shots {
		if only != "" && !strings.Contains(","+only+",", ","+s.name+",") {
			continue
		}
		for _, width := range []int64{360, 768, 1440} {
			ctx := tab(t, browser)
			height := map[int64]int64{360: 740, 768: 1024, 1440: 900}[width]
			scheme := "light"
			if s.dark {
				scheme = "dark"
			}
			do(t, ctx, chromedp.EmulateViewport(width, height), media("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce"), chromedp.Navigate(sites[s.layout]+"/"))
			if s.made {
				do(t, ctx, choosing(`{"choice":"save","categories":["analytics"]}`))
			} else {
				do(t, ctx, script(`document.cookie='askfirst=;max-age=0;path=/'`))
			}
			do(t, ctx, chromedp.Navigate(sites[s.layout]+s.path))
			if s.open {
				do(t, ctx, script(`document.querySelector('askfirst-banner').shadowRoot.querySelector('details').open=true;0`))
			}
			var picture []byte
			if strings.HasPrefix(s.path, "/w") || strings.HasPrefix(s.path, "/_") {
				picture = get(t, ctx, chromedp.FullScreenshot(100))
			} else {
				picture = get(t, ctx, chromedp.CaptureScreenshot())
			}
			extension := ".png"
			if bytes.HasPrefix(picture, []byte{0xff, 0xd8}) {
				extension = ".jpg"
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d%s", s.name, width, extension)), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
