package banner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// needBrowser skips the test where there is no Chromium. Where
// ASKFIRST_BROWSER is "required" a skip is a failure.
func needBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	skip(t, "Chromium is not installed: what a visitor sees is not tested")
	return ""
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("ASKFIRST_BROWSER") == "required" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// startBrowser starts Chromium and returns the context that tabs are opened in.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(needBrowser(t)), chromedp.NoSandbox, chromedp.DisableGPU,
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

// until waits until a condition holds in the page, for 10 seconds at most. A
// document that goes while it is asked is not the end: the one that comes is
// asked anew.
func until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := chromedp.Do(ctx, chromedp.Poll[chromedp.Void](condition))
		if err == nil {
			return
		}
		if gone := (*cdproto.Error)(nil); !errors.As(err, &gone) || ctx.Err() != nil {
			t.Fatalf("not %s: %v", condition, err)
		}
	}
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
		return consent.Stand(consent.OptIn, nil, consent.NoObjection)
	}
	return consent.Stand(consent.OptIn, &choice, consent.NoObjection)
}

const story = `<p>Made by hand in a small workshop by the sea, from leather that has been tanned with bark and water for three hundred days. <a href="/how">Read how</a>.</p><h2>The workshop</h2><p>Nothing here is in a hurry. A bag takes a week, and then another week to rest; what is good is rarely quick. Six people work in two rooms with large windows to the north.</p>`

func serveTestSite(ctx *fasthttp.RequestCtx, b *Banner) {
	s := standing(ctx)
	if b.Owns(ctx.Path()) {
		b.Serve(ctx, &Visit{Standing: s, RegimeRule: "default", Host: string(ctx.Host()), Address: "127.0.0.0"})
		return
	}
	if string(ctx.Path()) == "/logo.svg" {
		ctx.SetContentType("image/svg+xml")
		ctx.SetBodyString(`<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100"><circle cx="50" cy="50" r="50" fill="#b08968"/><path d="M120 30h160v40H120z" fill="#7f5539"/></svg>`)
		return
	}
	ctx.SetContentType("text/html; charset=utf-8")
	if string(ctx.Path()) == "/strict" {
		ctx.Response.Header.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; style-src "+strings.Join(b.StyleHashes(), " "))
	}
	lang := ctx.QueryArgs().Peek("l")
	v := &View{Standing: s, Host: ctx.Host(), Return: ctx.RequestURI(), AcceptLanguage: ctx.Request.Header.Peek("Accept-Language")}
	page := []byte(`<!DOCTYPE html><html lang="` + string(lang) + `"><head>`)
	if lang == nil {
		page = []byte(`<!DOCTYPE html><html lang="en"><head>`)
	}
	if string(ctx.Path()) == "/guarded" {
		page = b.AppendHead(page, v, lang)
	}
	page = append(page, `<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Shop</title><style>body{margin:0 auto;max-width:60em;padding:2em 1.5em;font:18px/1.6 Georgia,serif;color:#333;background:#f7f3ee}h1{font-size:2.6em}.hero{block-size:30em;background:linear-gradient(120deg,#e9d8c5,#b08968 70%,#7f5539);border-radius:8px}*{letter-spacing:.02em}button{color:red!important;display:none}section{margin:9em!important}</style></head><body><main><h1>Bags that last</h1>`...)
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

// axe returns the source of axe-core, which testdata/axe/package.json names:
// npm ci --prefix banner/testdata/axe
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("testdata/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		skip(t, "axe-core is not installed (npm ci --prefix banner/testdata/axe): accessibility is not tested")
	}
	return string(source)
}

// openSettings does what the guard does for the reopen control, and a visitor
// for the settings.
const openSettings = shadow + `.querySelector('details').open=true;document.querySelector('askfirst-banner').toggleAttribute('data-askfirst-open',document.querySelector('askfirst-banner').dataset.askfirstState=='made')`

const shadow = `document.querySelector('askfirst-banner').shadowRoot`

// choose agrees to categories, as the guard does.
func choose(categories ...string) chromedp.Action[chromedp.Void] {
	return choosing(`{"choice":"save","categories":["` + strings.Join(categories, `","`) + `"]}`)
}

func TestAccessibility(t *testing.T) {
	browser, source := startBrowser(t), axe(t)
	seen := &watcher{seen: []string{"google-analytics", "youtube", "matomo", "disqus"}}
	cases := []struct {
		name, path, prepare string
		made                bool
	}{
		{"ask", "/", "", false},
		{"settings", "/", openSettings, false},
		{"made", "/", "", true},
		{"reopened", "/", openSettings, true},
		{"boxes", "/widgets", "", true},
		{"preferences unasked", "/_askfirst/preferences", "", false},
		{"preferences", "/_askfirst/preferences?saved", "", true},
		{"declaration", "/_askfirst/cookies", "", true},
		{"receipt", "/_askfirst/receipt", "", true},
		{"no receipt", "/_askfirst/receipt", "", false},
	}
	for _, layout := range Layouts {
		b, err := New(Options{Title: "Bags", Layout: layout, PolicyURL: "/privacy"}, newEngine(t), &memory{}, seen)
		if err != nil {
			t.Fatal(err)
		}
		address := serveSite(t, b)
		for _, c := range cases {
			if layout != "bar" && c.name != "settings" {
				continue // layouts differ in where the panel stands
			}
			for _, variant := range [][2]string{{"light", "en"}, {"dark", "ar"}} {
				t.Run(fmt.Sprint(layout, " ", c.name, " ", variant), func(t *testing.T) {
					ctx := tab(t, browser)
					do(t, ctx, media("prefers-color-scheme", variant[0], "prefers-reduced-motion", "reduce"), chromedp.Navigate(address+"/"))
					if c.made {
						do(t, ctx, choose("analytics", "social"))
					} else {
						do(t, ctx, script(`document.cookie='askfirst=;max-age=0;path=/'`))
					}
					separator := "?"
					if strings.Contains(c.path, "?") {
						separator = "&"
					}
					do(t, ctx, chromedp.Navigate(address+c.path+separator+"l="+variant[1]+"&language="+variant[1]))
					if c.prepare != "" {
						do(t, ctx, script(c.prepare))
					}
					do(t, ctx, script(source))
					type judged struct {
						Violations []struct {
							ID    string
							Nodes []struct{ HTML, FailureSummary string }
						}
						Passes int
						Shadow bool // whether axe-core looked into shadow trees
					}
					found := get(t, ctx, chromedp.Evaluate[judged](`axe.run(document).then(r=>({
						Violations:r.violations.map(v=>({ID:v.id,Nodes:v.nodes.map(n=>({HTML:n.html,FailureSummary:n.failureSummary}))})),
						Passes:r.passes.length, Shadow:r.passes.some(p=>p.nodes.some(n=>n.target.some(Array.isArray)))}))`, chromedp.EvalAwaitPromise))
					for _, v := range found.Violations {
						for _, n := range v.Nodes {
							t.Errorf("%s: %.200s\n%s", v.ID, n.HTML, n.FailureSummary)
						}
					}
					if own := strings.HasPrefix(c.path, "/_"); found.Passes < 10 || found.Shadow == own {
						t.Errorf("axe-core judged %d rules, shadow trees %v", found.Passes, found.Shadow)
					}
				})
			}
		}
	}
}

// TestFirstLayer measures the first layer in every language and layout: three
// controls of one size and look, nothing cut off, nothing to scroll sideways.
func TestFirstLayer(t *testing.T) {
	browser := startBrowser(t)
	const measure = `(()=>{
		const root=` + shadow + `, faults=[], look=e=>{const s=getComputedStyle(e);return [s.color,s.backgroundColor,s.fontSize,s.fontWeight,s.borderColor,s.borderWidth,s.borderRadius].join()}
		const controls=['settings','reject-all','accept-all'].map(n=>root.querySelector('[data-askfirst='+n+']'))
		const [first,...others]=controls.map(e=>e.getBoundingClientRect())
		for(const r of others)if(Math.abs(r.width-first.width)>1||Math.abs(r.height-first.height)>1)faults.push('sizes '+controls.map(e=>{const r=e.getBoundingClientRect();return r.width+'x'+r.height}))
		if(new Set(controls.map(look)).size>1)faults.push('looks '+controls.map(look).join(' / '))
		if(first.height<44)faults.push('a target '+first.height+' high')
		const check=when=>{
			const panel=root.querySelector('.panel'),p=panel.getBoundingClientRect()
			if(panel.scrollWidth>panel.clientWidth)faults.push(when+': scrolls sideways')
			if(p.left<0||p.top<0||p.right>innerWidth||p.bottom>innerHeight+1)faults.push(when+': leaves the window')
			for(const e of root.querySelectorAll('button,summary,a,label,h2,p'))if(e.offsetParent&&e.scrollWidth>e.clientWidth+1&&getComputedStyle(e).display!='inline')faults.push(when+': text is cut in '+e.outerHTML.slice(0,80))
			if(document.documentElement.scrollWidth>innerWidth)faults.push(when+': the page scrolls sideways')
		}
		check('closed')
		root.querySelector('details').open=true
		check('open')
		const save=root.querySelector('[data-askfirst=save]')
		if(!save.offsetParent)faults.push('save is not shown')
		return faults
	})()`
	for _, layout := range Layouts {
		address := serveSite(t, newBanner(t, Options{Layout: layout, PolicyURL: "/privacy"}))
		ctx := tab(t, browser)
		do(t, ctx, media("prefers-reduced-motion", "reduce"))
		tags := []string{"en", "de", "el", "mt", "ar", "ja"} // the long ones, and other scripts
		if layout == "bar" {
			tags = embedded()
		}
		for _, tag := range tags {
			do(t, ctx, chromedp.Navigate(address+"/?l="+tag))
			for _, width := range []int64{320, 360, 768, 1440} {
				do(t, ctx, chromedp.EmulateViewport(width, 800), script(shadow+`.querySelector('details').open=false`))
				for _, fault := range get(t, ctx, chromedp.Evaluate[[]string](measure)) {
					t.Errorf("%s, %s, %d px: %s", layout, tag, width, fault)
				}
			}
		}
	}
}

// TestReflow looks at 400% zoom of a window 1280 px wide (WCAG 2.2, 1.4.10): all
// can be reached by scrolling one way. Scrolling goes by whole pixels, text does
// not.
func TestReflow(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{PolicyURL: "/privacy"}))
	ctx := tab(t, browser)
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.EmulateViewport(320, 256), chromedp.Navigate(address+"/?l=de"), script(shadow+`.querySelector('details').open=true`))
	if scrolls := get(t, ctx, chromedp.Evaluate[string](`getComputedStyle(`+shadow+`.querySelector('.panel')).overflowY`)); scrolls != "auto" {
		t.Errorf("a panel higher than the window is %s", scrolls)
	}
	reached := get(t, ctx, chromedp.Evaluate[bool](`(()=>{const root=`+shadow+`,last=root.querySelector('[data-askfirst=accept-all]');last.scrollIntoView({block:'nearest'});const r=last.getBoundingClientRect();return r.top>=0&&Math.floor(r.bottom)<=innerHeight&&root.elementFromPoint(r.left+r.width/2,r.top+r.height/2)===last})()`))
	if !reached {
		t.Error("the last button cannot be reached")
	}
	for _, path := range []string{"preferences", "cookies", "receipt"} {
		do(t, ctx, chromedp.Navigate(address+"/_askfirst/"+path))
		if wide := get(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`)); wide > 320 {
			t.Errorf("%s is %d px wide in a window of 320", path, wide)
		}
	}
}

func TestFocusAndShift(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{PolicyURL: "/privacy"}))
	ctx := tab(t, browser)
	do(t, ctx, chromedp.Navigate(address+"/"), script(`new Promise(done=>requestAnimationFrame(()=>requestAnimationFrame(done)))`))
	shifts := get(t, ctx, chromedp.Evaluate[[]string](`new Promise(done=>{const all=[],at=r=>[r.x,r.y,r.width,r.height].join();new PerformanceObserver(l=>{for(const e of l.getEntries())all.push(e.value+' '+e.sources.map(s=>s.node?.nodeName+' '+at(s.previousRect)+' to '+at(s.currentRect)))}).observe({type:'layout-shift',buffered:true});requestAnimationFrame(()=>setTimeout(()=>done(all)))})`, chromedp.EvalAwaitPromise))
	for _, shift := range shifts {
		t.Errorf("layout shift %s", shift)
	}
	largest := get(t, ctx, chromedp.Evaluate[string](`new Promise(done=>{new PerformanceObserver(l=>{const e=l.getEntries().at(-1);done(e.element?e.element.localName:'in a shadow tree')}).observe({type:'largest-contentful-paint',buffered:true})})`, chromedp.EvalAwaitPromise))
	if largest == "in a shadow tree" {
		t.Errorf("the largest paint is %s", largest)
	}
	var order []string
	for range 5 {
		do(t, ctx, chromedp.KeyEvent("\t"))
		order = append(order, get(t, ctx, chromedp.Evaluate[string](`(()=>{const e=document.activeElement.shadowRoot?.activeElement??document.activeElement;return e.dataset.askfirst||e.getAttribute('href')||e.localName})()`)))
	}
	if want := []string{"/privacy", "/_askfirst/cookies?return=/&language=en", "settings", "reject-all", "accept-all"}; !slices.Equal(order, want) {
		t.Errorf("tab order %v, want %v", order, want)
	}
	if requests := get(t, ctx, chromedp.Evaluate[[]string](`performance.getEntriesByType('resource').map(e=>e.name).filter(n=>!n.endsWith('/favicon.ico'))`)); len(requests) != 0 {
		t.Errorf("the banner asked for %v", requests)
	}
}

// TestSiteStylesStayOut gives the site a style sheet that reaches for every
// element, and a policy that allows no inline style but ours.
func TestSiteStylesStayOut(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{}))
	ctx := tab(t, browser)
	const look = `(()=>{const root=` + shadow + `,p=getComputedStyle(root.querySelector('.panel')),b=getComputedStyle(root.querySelector('[data-askfirst=accept-all]')),h=getComputedStyle(document.querySelector('askfirst-banner'));return [p.position,p.fontSize,p.letterSpacing,b.color,b.display,b.fontFamily,h.opacity,h.display].join()})()`
	do(t, ctx, chromedp.Navigate(address+"/strict"))
	strict := get(t, ctx, chromedp.Evaluate[string](look))
	do(t, ctx, chromedp.Navigate(address+"/"))
	do(t, ctx, script(`document.head.insertAdjacentHTML('beforeend','<style>body *,askfirst-banner{all:unset!important;font-size:50px!important;letter-spacing:1em!important;display:none!important;opacity:0!important;transform:scale(0)!important}body{font:9px fantasy;text-transform:uppercase;visibility:hidden}</style>')`))
	if got := get(t, ctx, chromedp.Evaluate[string](look)); got != strict || !strings.HasPrefix(got, "fixed,16px,normal,") {
		t.Errorf("with the site's styles %s, without %s", got, strict)
	}
}

// TestWithoutScript takes the visitor's whole way with scripts switched off.
func TestWithoutScript(t *testing.T) {
	browser := startBrowser(t)
	b := newBanner(t, Options{})
	address := serveSite(t, b)
	ctx := tab(t, browser)
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	// press clicks a control where a visitor would, and waits for the page that
	// comes.
	press := func(root, selector string) {
		t.Helper()
		at := get(t, ctx, chromedp.Evaluate[[]float64](`(()=>{const e=`+root+`.querySelector('`+selector+`');e.scrollIntoView({block:'center'});const r=e.getBoundingClientRect();return [r.left+r.width/2,r.top+r.height/2]})()`))
		if _, err := chromedp.RunResponse(ctx, chromedp.MouseClickXY(at[0], at[1])); err != nil {
			t.Fatal(err)
		}
	}
	where := func() string {
		return get(t, ctx, chromedp.Evaluate[string](`location.pathname+location.search+' '+(document.querySelector('askfirst-banner')?.dataset.askfirstState??'')+' '+(document.cookie.match(/askfirst=1\.1\.([^.]*)/)?.[1]??'none')`))
	}
	expect := func(want string) {
		t.Helper()
		if got := where(); got != want {
			t.Fatalf("at %s, want %s", got, want)
		}
	}
	do(t, ctx, chromedp.Navigate(address+"/blog?page=2"))
	expect("/blog?page=2 ask none")
	press(shadow, "[data-askfirst=reject-all]")
	expect("/blog?page=2 made -")
	press(shadow, "[data-askfirst=reopen]")
	expect("/_askfirst/preferences?return=/blog%3Fpage%3D2&language=en  -")
	do(t, ctx, script(`document.querySelector('[value=analytics]').checked=true`))
	press("document", "[data-askfirst=save]")
	expect("/blog?page=2 made a")
	do(t, ctx, chromedp.Navigate(address+"/widgets"))
	press("document.querySelector('askfirst-placeholder').shadowRoot", "[data-askfirst=always]")
	expect("/widgets made am")
	do(t, ctx, chromedp.Navigate(address+"/_askfirst/preferences?return=/blog"))
	press("document", "[data-askfirst=withdraw]")
	expect("/blog made -")
	do(t, ctx, chromedp.Navigate(address+"/_askfirst/receipt"))
	press("document", "[data-askfirst=erase]")
	expect("/_askfirst/receipt?erased  none")
	do(t, ctx, chromedp.Navigate(address+"/"))
	expect("/ ask none")
	at := get(t, ctx, chromedp.Evaluate[[]float64](`(()=>{const r=`+shadow+`.querySelector('summary').getBoundingClientRect();return [r.left+5,r.top+5]})()`))
	do(t, ctx, chromedp.MouseClickXY(at[0], at[1]))
	press(shadow, "[data-askfirst=save]")
	expect("/ made -")
}

// TestWithScript takes the same way with the guard, which leaves no page for it.
func TestWithScript(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{}))
	ctx := tab(t, browser)
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.Navigate(address+"/guarded"), script(`window.here=true`))
	// after clicks a control and waits for what it brings about.
	after := func(control, condition string) {
		t.Helper()
		do(t, ctx, script(shadow+`.querySelector('`+control+`').click()`))
		until(t, ctx, condition)
	}
	const state = `document.querySelector('askfirst-banner').dataset.askfirstState`
	const panel = `getComputedStyle(` + shadow + `.querySelector('.panel')).display`
	after("summary", shadow+`.querySelector('details').open`)
	do(t, ctx, script(shadow+`.querySelector('[value=analytics]').click()`))
	after("[data-askfirst=save]", `window.here&&`+state+`=='made'&&`+panel+`=='none'&&document.cookie.includes('.a.')`)
	after("[data-askfirst=reopen]", `window.here&&`+panel+`!='none'&&`+shadow+`.querySelector('[value=analytics]').checked`)
	after("[data-askfirst=close]", `window.here&&`+panel+`=='none'`)
	after("[data-askfirst=reopen]", panel+`!='none'`)
	after("[data-askfirst=withdraw]", `document.cookie.includes('.-.')&&document.readyState=='complete'&&`+state+`=='made'&&`+panel+`=='none'`)
}

// TestBoxes measures placeholders: each as large as what it stands for, nothing
// in it cut off without a way to scroll there.
func TestBoxes(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{}))
	ctx := tab(t, browser)
	for _, tag := range []string{"en", "de", "el", "ar"} {
		for _, width := range []int64{320, 1440} {
			do(t, ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(address+"/widgets?l="+tag))
			type size struct{ W, H, Wide, Room float64 }
			sizes := get(t, ctx, chromedp.Evaluate[[]size](`[...document.querySelectorAll('askfirst-placeholder')].map(e=>{const r=e.getBoundingClientRect(),c=e.shadowRoot.querySelector('.card');return {W:r.width,H:r.height,Wide:c.scrollWidth,Room:c.clientWidth}})`))
			room := get(t, ctx, chromedp.Evaluate[float64](`document.querySelector('main').clientWidth`))
			want := [][2]float64{{560, 315}, {room, 240}, {200, 120}, {300, 54}, {0, 0}, {0, 0}, {room / 2, 200}}
			if len(sizes) != len(want) {
				t.Fatalf("%d boxes", len(sizes))
			}
			for i, s := range sizes {
				if want[i][0] != 0 && (math.Abs(s.W-min(want[i][0], room)) > 1 || math.Abs(s.H-want[i][1]) > 1) {
					t.Errorf("%s, %d px: box %d is %v×%v, want %v", tag, width, i, s.W, s.H, want[i])
				}
				if s.W > room+1 || s.Wide > s.Room {
					t.Errorf("%s, %d px: box %d overflows: %+v in %v", tag, width, i, s, room)
				}
			}
		}
	}
}
