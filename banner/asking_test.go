package banner

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestThePageCanBeUsedWithoutAnswering: in a bar or a box the question is no
// wall. What is beside it can be pressed and focused; there is nothing to close
// before a choice; and it says what for.
func TestThePageCanBeUsedWithoutAnswering(t *testing.T) {
	browser := startBrowser(t)
	for _, layout := range []string{"bar", "box"} {
		b := newBanner(t, Options{Layout: layout, PolicyURL: "/privacy"})
		address := serveSite(t, b)
		ctx := tab(t, browser)
		do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.EmulateViewport(1024, 768), chromedp.Navigate(address+"/guarded"))
		at := get(t, ctx, chromedp.Evaluate[[]float64](`(()=>{const a=document.querySelector('main a');a.addEventListener('click',e=>{e.preventDefault();self.pressed=true});const r=a.getBoundingClientRect();return [r.left+r.width/2,r.top+r.height/2]})()`))
		do(t, ctx, chromedp.MouseClickXY(at[0], at[1]))
		type used struct {
			Pressed, Focused, Asks bool
			Close                  int
			For, Named             string
		}
		got := get(t, ctx, chromedp.Evaluate[used](`(()=>{const r=`+shadow+`,l=r.querySelector('.for');return {Pressed:!!self.pressed,Focused:document.activeElement.localName=='a',Asks:r.querySelector('.panel').checkVisibility(),
			Close:[...r.querySelectorAll('[data-askfirst=close],[data-askfirst=withdraw]')].filter(e=>e.checkVisibility()).length,
			For:[...l.children].filter(e=>e.checkVisibility()).map(e=>e.textContent).join(),Named:l.ariaLabel}})()`))
		if want := (used{Pressed: true, Focused: true, Asks: true, For: "Functional,Statistics,Marketing,Social media", Named: "What for"}); got != want {
			t.Errorf("%s: %+v, want %+v", layout, got, want)
		}
	}
}

// TestLanguageOfTheBrowser is asked in where the page says none that there are
// texts in, in the banner and on the own pages.
func TestLanguageOfTheBrowser(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{Language: "sv"}))
	ctx := tab(t, browser)
	for accept, want := range map[string]string{"fi, en;q=0.5": "fi", "xx": "sv", "zh-TW": "zh-Hant"} {
		do(t, ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": accept}})
			return err
		}))
		do(t, ctx, chromedp.Navigate(address+"/?l=xx"))
		banner := get(t, ctx, chromedp.Evaluate[string](shadow+`.querySelector('.panel').lang`))
		do(t, ctx, chromedp.Navigate(address+"/_askfirst/preferences"))
		if page := get(t, ctx, chromedp.Evaluate[string](`document.documentElement.lang`)); banner != want || page != want {
			t.Errorf("a browser that asks for %q is asked in %s, and told in %s, want %s", accept, banner, page, want)
		}
	}
}

// TestColours: those of the operator show, and in dark mode those for it.
func TestColours(t *testing.T) {
	browser := startBrowser(t)
	plain := serveSite(t, newBanner(t, Options{}))
	themed := serveSite(t, newBanner(t, Options{Theme: map[string]string{"accent": "#123456", "paper": "#fffff0", "ink": "#101010", "radius": "3px", "font": "serif", "paper-dark": "#000001", "accent-dark": "#abcdef", "ink-dark": "#fefefe"}}))
	const banner = `(()=>{const s=e=>getComputedStyle(` + shadow + `.querySelector(e)),p=s('.panel'),a=s('[data-askfirst=accept-all]');return [p.backgroundColor,p.color,a.color,p.fontFamily,p.borderTopLeftRadius].join(' ')})()`
	const box = `getComputedStyle(document.querySelector('askfirst-placeholder').shadowRoot.querySelector('button')).color`
	const page = `getComputedStyle(document.querySelector('main')).backgroundColor+' '+getComputedStyle(document.querySelector('button')).color`
	for _, c := range []struct{ address, scheme, banner, box, page string }{
		{plain, "light", "rgb(255, 255, 255) rgb(28, 39, 51) rgb(26, 79, 134) system-ui, sans-serif 16px", "rgb(26, 79, 134)", "rgb(255, 255, 255) rgb(26, 79, 134)"},
		{plain, "dark", "rgb(22, 27, 34) rgb(233, 238, 244) rgb(157, 197, 245) system-ui, sans-serif 16px", "rgb(157, 197, 245)", "rgb(22, 27, 34) rgb(157, 197, 245)"},
		{themed, "light", "rgb(255, 255, 240) rgb(16, 16, 16) rgb(18, 52, 86) serif 3px", "rgb(18, 52, 86)", "rgb(255, 255, 240) rgb(18, 52, 86)"},
		{themed, "dark", "rgb(0, 0, 1) rgb(254, 254, 254) rgb(171, 205, 239) serif 3px", "rgb(171, 205, 239)", "rgb(0, 0, 1) rgb(171, 205, 239)"},
	} {
		ctx := tab(t, browser)
		do(t, ctx, media("prefers-color-scheme", c.scheme), chromedp.Navigate(c.address+"/widgets"))
		if got := get(t, ctx, chromedp.Evaluate[string](banner)); got != c.banner {
			t.Errorf("%s: the banner is %s, want %s", c.scheme, got, c.banner)
		}
		if got := get(t, ctx, chromedp.Evaluate[string](box)); got != c.box {
			t.Errorf("%s: a box is %s, want %s", c.scheme, got, c.box)
		}
		do(t, ctx, chromedp.Navigate(c.address+"/_askfirst/preferences"))
		if got := get(t, ctx, chromedp.Evaluate[string](page)); got != c.page {
			t.Errorf("%s: a page is %s, want %s", c.scheme, got, c.page)
		}
	}
}

// TestLogo: the site's own picture stands above the title, as high as two lines,
// and moves nothing when it comes; where nothing is asked it is not asked for.
func TestLogo(t *testing.T) {
	browser := startBrowser(t)
	address := serveSite(t, newBanner(t, Options{Logo: "/logo.svg"}))
	ctx := tab(t, browser)
	const logo = shadow + `.querySelector('.logo')`
	do(t, ctx, media("prefers-reduced-motion", "reduce"), chromedp.Navigate(address+"/"), script(logo+`.decode()`))
	type seen struct {
		Width, Height float64
		Above         bool
		Shift         float64
	}
	got := get(t, ctx, chromedp.Evaluate[seen](`new Promise(done=>{let sum=0;new PerformanceObserver(l=>{for(const e of l.getEntries())sum+=e.value}).observe({type:'layout-shift',buffered:true});
		requestAnimationFrame(()=>setTimeout(()=>{const e=`+logo+`,r=e.getBoundingClientRect();done({Width:r.width,Height:r.height,Above:r.bottom<=e.nextElementSibling.getBoundingClientRect().top,Shift:sum})}))})`, chromedp.EvalAwaitPromise))
	if want := (seen{Width: 96, Height: 32, Above: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	do(t, ctx, choose("analytics"), chromedp.Navigate(address+"/how"))
	if asked := get(t, ctx, chromedp.Evaluate[int](`performance.getEntriesByType('resource').filter(e=>e.name.endsWith('/logo.svg')).length`)); asked != 0 {
		t.Errorf("who has chosen is sent it %d times", asked)
	}
	for _, bad := range []string{"https://cdn.example/logo.svg", "//cdn.example/logo.svg", "logo.svg", `/a"b`} {
		if _, err := New(Options{Logo: bad}, newEngine(t), &memory{}, &watcher{}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
