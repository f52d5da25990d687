package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// interceptions are the ways in which a script makes a request, each to the
// address U. After consent a held element is released; a held call is not made
// again, so that the page makes it anew.
var interceptions = []struct {
	name, code string
	again      bool
}{
	{"script appendChild", `const s = document.createElement('script'); s.src = U + '.js'; document.head.appendChild(s)`, false},
	{"script src after insertion", `const s = document.createElement('script'); document.head.appendChild(s); s.src = U + '.js'`, false},
	{"script setAttribute", `const s = document.createElement('script'); s.setAttribute('src', U + '.js'); document.head.append(s)`, false},
	{"script type after src", `const s = document.createElement('script'); s.src = U + '.js'; s.type = 'text/javascript'; document.head.prepend(s)`, false},
	{"script module", `const s = document.createElement('script'); s.type = 'module'; s.src = U + '.js'; document.head.appendChild(s)`, false},
	{"script setAttributeNS", `const s = document.createElement('script'); s.setAttributeNS(null, 'src', U + '.js'); document.head.append(s)`, false},
	{"script setAttributeNode", `const s = document.createElement('script'), a = document.createAttribute('src'); a.value = U + '.js'; s.setAttributeNode(a); document.head.append(s)`, false},
	{"script named item", `const s = document.createElement('script'), a = document.createAttribute('src'); a.value = U + '.js'; s.attributes.setNamedItem(a); document.head.append(s)`, false},
	{"script before", `const s = document.createElement('script'); s.src = U + '.js'; document.body.firstChild.before(s)`, false},
	{"script after", `const s = document.createElement('script'); s.src = U + '.js'; document.body.firstChild.after(s)`, false},
	{"script replaceWith", `const p = document.body.appendChild(document.createElement('p')), s = document.createElement('script'); s.src = U + '.js'; p.replaceWith(s)`, false},
	{"script replaceChild", `const p = document.body.appendChild(document.createElement('p')), s = document.createElement('script'); s.src = U + '.js'; document.body.replaceChild(s, p)`, false},
	{"script replaceChildren", `const p = document.body.appendChild(document.createElement('p')), s = document.createElement('script'); s.src = U + '.js'; p.replaceChildren(s)`, false},
	{"script insertBefore", `const s = document.createElement('script'); s.src = U + '.js'; const f = document.getElementsByTagName('script')[0]; f.parentNode.insertBefore(s, f)`, false},
	{"script insertAdjacentElement", `const s = document.createElement('script'); s.src = U + '.js'; document.body.insertAdjacentElement('beforeend', s)`, false},
	{"script range insertNode", `const s = document.createElement('script'); s.src = U + '.js'; const r = document.createRange(); r.selectNodeContents(document.body); r.insertNode(s)`, false},
	{"script in fragment", `const f = document.createDocumentFragment(), d = document.createElement('div'), s = document.createElement('script'); s.src = U + '.js'; d.append(s); f.append(d); document.body.append(f)`, false},
	{"script in shadow root", `const h = document.body.appendChild(document.createElement('div')).attachShadow({mode: 'open'}), s = document.createElement('script'); s.src = U + '.js'; h.append(s)`, false},
	{"script createContextualFragment", `document.body.append(document.createRange().createContextualFragment('<script src="' + U + '.js"><\/script>'))`, false},
	{"script from DOMParser", `const d = new DOMParser().parseFromString('<img src="' + U + '.gif">', 'text/html'); document.body.append(d.body.firstChild)`, false},
	{"svg script", `const s = document.createElementNS('http://www.w3.org/2000/svg', 'script'); s.setAttribute('href', U + '.js'); const g = document.createElementNS('http://www.w3.org/2000/svg', 'svg'); g.append(s); document.body.append(g)`, false},
	{"svg script by xlink:href", `const s = document.createElementNS('http://www.w3.org/2000/svg', 'script'); s.setAttributeNS('http://www.w3.org/1999/xlink', 'xlink:href', U + '.js'); const g = document.createElementNS('http://www.w3.org/2000/svg', 'svg'); g.append(s); document.body.append(g)`, false},
	{"svg image by xlink:href", `document.body.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg')).innerHTML = '<image xlink:href="' + U + '.gif" width="5" height="5"/>'`, false},
	{"svg set", `document.body.appendChild(document.createElement('div')).innerHTML = '<svg width="9" height="9"><image width="5" height="5"><set attributeName="href" to="' + U + '.gif" fill="freeze"/></image></svg>'`, false},
	{"svg animate", `const N = (name) => document.createElementNS('http://www.w3.org/2000/svg', name), g = N('svg'), i = N('image'), a = N('animate'); i.setAttribute('width', 5); i.setAttribute('height', 5); for (const [k, v] of Object.entries({attributeName: 'href', dur: '1s', fill: 'freeze', values: '/own.gif;' + U + '.gif', calcMode: 'discrete', keyTimes: '0;0.01'})) a.setAttribute(k, v); i.append(a); g.append(i); document.body.append(g)`, false},
	{"svg image by baseVal", `const N = (name) => document.createElementNS('http://www.w3.org/2000/svg', name), g = N('svg'), i = N('image'); i.setAttribute('width', 5); i.setAttribute('height', 5); i.href.baseVal = U + '.gif'; g.append(i); document.body.append(g)`, false},
	{"svg image by baseVal in place", `const N = (name) => document.createElementNS('http://www.w3.org/2000/svg', name), g = document.body.appendChild(N('svg')), i = g.appendChild(N('image')); i.setAttribute('width', 5); i.setAttribute('height', 5); const h = i.href; h.baseVal = U + '.gif'`, false},
	{"svg script by baseVal", `const N = (name) => document.createElementNS('http://www.w3.org/2000/svg', name), g = document.body.appendChild(N('svg')), s = N('script'); s.href.baseVal = U + '.js'; g.append(s)`, false},
	{"svg feImage", `document.body.appendChild(document.createElement('div')).innerHTML = '<svg width="9" height="9"><filter id="f' + P + '"><feImage href="' + U + '.gif"/></filter><rect width="9" height="9" filter="url(&quot;#f' + P + '&quot;)"/></svg>'`, false},
	{"inline script", `document.body.append(inline())`, false},
	{"inline script whose type is set while it is held", `const S = inline(); document.body.append(S); S.type = 'text/javascript'; document.head.append(S)`, false},
	{"inline script whose type is removed while it is held", `const S = inline(); document.body.append(S); S.removeAttribute('type'); document.head.append(S)`, false},
	{"inline script filled in place", `const s = document.createElement('script'); self.meter = () => {}; document.body.append(s); s.textContent = "meter(1,'init'); new Image().src='https://free.example" + P + ".gif'"`, false},
	{"inline script by text node", `const s = document.createElement('script'); self.meter = () => {}; document.body.append(s); s.appendChild(document.createTextNode("meter(1,'init'); new Image().src='https://free.example" + P + ".gif'"))`, false},
	{"inline script before", `const S = inline(); document.body.firstChild.before(S)`, false},
	{"inline script after", `const S = inline(); document.body.firstChild.after(S)`, false},
	{"inline script replaceWith", `const S = inline(); document.querySelector(E()).replaceWith(S)`, false},
	{"inline script prepend", `const S = inline(); document.body.prepend(S)`, false},
	{"inline script document fragment", `const S = inline(); const f = document.createDocumentFragment(); f.append(S); document.body.append(f)`, false},
	{"inline script insertAdjacentElement", `const S = inline(); document.body.insertAdjacentElement('beforeend', S)`, false},
	{"inline script range insertNode", `const S = inline(); const r = document.createRange(); r.selectNodeContents(document.body); r.insertNode(S)`, false},
	{"inline script replaceChildren", `const S = inline(); document.querySelector(E()).replaceChildren(S)`, false},
	{"inline script insertBefore", `const S = inline(); document.body.insertBefore(S, document.body.firstChild)`, false},
	{"inline script replaceChild", `const S = inline(), p = document.body.appendChild(document.createElement('p')); document.body.replaceChild(S, p)`, false},
	{"inline script before a text", `const S = inline(); document.body.appendChild(new Text('text')).before(S)`, false},
	{"inline script after a text", `const S = inline(); document.body.appendChild(new Text('text')).after(S)`, false},
	{"inline script in place of a text", `const S = inline(); document.body.appendChild(new Text('text')).replaceWith(S)`, false},
	{"inline script in shadow root", `const S = inline(); document.body.appendChild(document.createElement('div')).attachShadow({mode: 'open'}).append(S)`, false},
	{"detached innerHTML", `document.createElement('div').innerHTML = '<img src="' + U + '.gif">'`, true},
	{"detached outerHTML", `document.createElement('div').appendChild(document.createElement('p')).outerHTML = '<img src="' + U + '.gif">'`, true},
	{"detached insertAdjacentHTML", `document.createElement('div').insertAdjacentHTML('beforeend', '<img src="' + U + '.gif">')`, true},
	{"detached setHTMLUnsafe", `document.createElement('div').setHTMLUnsafe('<img src="' + U + '.gif">')`, true},
	{"detached setHTML", `document.createElement('div').setHTML('<img src="' + U + '.gif">', {sanitizer: {elements: ['img'], attributes: ['src']}})`, true},
	{"detached createContextualFragment", `document.createRange().createContextualFragment('<img src="' + U + '.gif">')`, true},
	{"adopted from a parser", `document.adoptNode(new DOMParser().parseFromString('<img src="' + U + '.gif">', 'text/html').images[0])`, true},
	{"imported from a parser", `document.importNode(new DOMParser().parseFromString('<p><img src="' + U + '.gif">', 'text/html').body, true)`, true},
	{"imported from XML", `document.importNode(new DOMParser().parseFromString('<img xmlns="http://www.w3.org/1999/xhtml" src="' + U + '.gif"/>', 'text/xml').documentElement)`, true},
	{"imported from a template", `const t = document.createElement('template'); t.innerHTML = '<img src="' + U + '.gif">'; document.importNode(t.content, true)`, true},
	{"cloned from a template", `const t = document.createElement('template'); t.innerHTML = '<img src="' + U + '.gif">'; document.body.append(t.content.cloneNode(true))`, false},
	{"adopted from another document", `const d = document.implementation.createHTMLDocument(''); const i = d.createElement('img'); i.setAttribute('src', U + '.gif'); d.body.append(i); document.adoptNode(i)`, true},
	{"before, from another document", `const d = document.implementation.createHTMLDocument(''); d.body.innerHTML = '<img src="' + U + '.gif">'; document.body.firstChild.before(d.body.firstChild)`, false},
	{"inserted from another document", `const d = document.implementation.createHTMLDocument(''); d.body.innerHTML = '<img src="' + U + '.gif">'; document.body.insertAdjacentElement('beforeend', d.body.firstChild)`, false},
	{"range insertNode from another document", `const d = document.implementation.createHTMLDocument(''); d.body.innerHTML = '<img src="' + U + '.gif">'; const r = document.createRange(); r.selectNodeContents(document.body); r.insertNode(d.body.firstChild)`, false},
	{"detached setAttributeNS", `document.createElement('img').setAttributeNS(null, 'src', U + '.gif')`, true},
	{"detached setAttributeNode", `const a = document.createAttribute('src'); a.value = U + '.gif'; document.createElement('img').setAttributeNode(a)`, true},
	{"detached setAttributeNodeNS", `const a = document.createAttribute('src'); a.value = U + '.gif'; document.createElement('img').setAttributeNodeNS(a)`, true},
	{"fetchLater", `fetchLater(U, {activateAfter: 0})`, true},
	{"own category", `const s = document.createElement('script'); s.dataset.category = 'marketing'; s.src = 'https://free.example' + P + '.js'; document.body.append(s)`, false},
	{"first party named by a rule", `const s = document.createElement('script'); s.src = '/meter-proxy' + P + '.js'; document.body.append(s)`, false},
	{"innerHTML img", `document.body.appendChild(document.createElement('div')).innerHTML = '<p><img src="' + U + '.gif"></p>'`, false},
	{"innerHTML iframe", `document.body.appendChild(document.createElement('div')).innerHTML = '<iframe src="' + U + '"></iframe>'`, false},
	{"innerHTML svg image", `const g = document.body.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg')); g.innerHTML = '<image href="' + U + '.gif" width="5" height="5"/>'`, false},
	{"innerHTML video source", `document.body.appendChild(document.createElement('div')).innerHTML = '<video preload="auto"><source src="' + U + '.mp4"></video>'`, false},
	{"shadow innerHTML", `document.body.appendChild(document.createElement('div')).attachShadow({mode: 'open'}).innerHTML = '<img src="' + U + '.gif">'`, false},
	{"setHTMLUnsafe", `document.body.appendChild(document.createElement('div')).setHTMLUnsafe('<img src="' + U + '.gif">')`, false},
	{"setHTML", `document.body.appendChild(document.createElement('div')).setHTML('<img src="' + U + '.gif">', {sanitizer: {elements: ['img'], attributes: ['src']}})`, false},
	{"outerHTML", `document.body.appendChild(document.createElement('div')).outerHTML = '<img src="' + U + '.gif">'`, false},
	{"insertAdjacentHTML", `document.body.insertAdjacentHTML('beforeend', '<img src="' + U + '.gif">')`, false},
	{"img src", `document.body.appendChild(document.createElement('img')).src = U + '.gif'`, false},
	{"img srcset", `document.body.appendChild(document.createElement('img')).srcset = '/own.gif 2x, ' + U + '.gif 1x'`, false},
	{"img setAttribute", `document.body.appendChild(document.createElement('img')).setAttribute('SRC', U + '.gif')`, false},
	{"table background", `const t = document.body.appendChild(document.createElement('table')); t.insertRow().insertCell().textContent = 'x'; t.setAttribute('background', U + '.gif')`, false},
	{"cell background", `const t = document.createElement('table'), c = t.insertRow().insertCell(); c.textContent = 'x'; c.setAttribute('background', U + '.gif'); document.body.append(t)`, false},
	{"background in markup", `document.body.appendChild(document.createElement('div')).innerHTML = '<table background="' + U + '.gif"><tr><td>x</table>'`, false},
	{"new Image", `new Image().src = U + '.gif'`, true},
	{"iframe", `const f = document.createElement('iframe'); f.src = U; document.body.append(f)`, false},
	{"embed", `const f = document.createElement('embed'); f.type = 'text/html'; f.src = U; document.body.append(f)`, false},
	{"object", `const f = document.createElement('object'); f.type = 'text/html'; f.data = U; document.body.append(f)`, false},
	{"video poster", `const v = document.createElement('video'); v.poster = U + '.gif'; document.body.append(v)`, false},
	{"audio", `const v = document.createElement('audio'); v.preload = 'auto'; v.src = U + '.mp3'; document.body.append(v)`, false},
	{"video", `const v = document.createElement('video'); v.preload = 'auto'; v.src = U + '.mp4'; document.body.append(v)`, false},
	{"source", `const v = document.createElement('video'), s = document.createElement('source'); v.preload = 'auto'; s.src = U + '.mp4'; v.append(s); document.body.append(v)`, false},
	{"source srcset", `const p = document.createElement('picture'), s = document.createElement('source'); s.srcset = U + '.gif'; p.append(s, document.createElement('img')); document.body.append(p)`, false},
	{"track", `const v = document.createElement('video'), t = document.createElement('track'); v.crossOrigin = 'anonymous'; t.default = true; t.kind = 'subtitles'; t.src = U + '.vtt'; v.append(t); document.body.append(v)`, false},
	{"input image", `const i = document.createElement('input'); i.type = 'image'; i.src = U + '.gif'; document.body.append(i)`, false},
	{"frame", `const f = document.createElement('frame'); f.src = U; document.body.append(f)`, false},
	{"ping", `const a = document.body.appendChild(document.createElement('a')); a.href = '#'; a.ping = U; a.click()`, true},
	{"ping of an area", `const a = document.body.appendChild(document.createElement('map')).appendChild(document.createElement('area')); a.href = '#'; a.ping = U; a.click()`, true},
	{"new Audio", `const v = new Audio(U + '.mp3'); v.preload = 'auto'; document.body.append(v)`, false},
	{"new Audio in no document", `new Audio(U + '.mp3')`, true},
	{"stylesheet link", `const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = U + '.css'; document.head.append(l)`, false},
	{"stylesheet link, rel last", `const l = document.createElement('link'); l.href = U + '.css'; l.rel = 'stylesheet'; document.head.append(l)`, false},
	{"stylesheet link, rel after insertion", `const l = document.createElement('link'); l.href = U + '.css'; document.head.append(l); l.rel = 'stylesheet'`, false},
	{"preload link", `const l = document.createElement('link'); l.rel = 'prefetch'; l.href = U + '.css'; document.head.append(l)`, false},
	{"preload link, imagesrcset", `const l = document.createElement('link'); l.rel = 'preload'; l.as = 'image'; l.imageSrcset = U + '.gif'; document.head.append(l)`, true},
	{"style import", `const s = document.createElement('style'); s.textContent = '@import url(' + U + '.css)'; document.head.append(s)`, false},
	{"style import without a space", `const s = document.createElement('style'); s.textContent = '@import"' + U + '.css";'; document.head.append(s)`, false},
	{"style append", `document.head.appendChild(document.createElement('style')).append(E() + '{background:url("' + U + '.gif")}')`, true},
	{"style nodeValue of its text", `const s = document.head.appendChild(document.createElement('style')); s.textContent = 'a{}'; s.firstChild.nodeValue = E() + '{background:url("' + U + '.gif")}'`, false},
	{"style data of its text", `const s = document.head.appendChild(document.createElement('style')); s.textContent = 'a{}'; s.firstChild.data = E() + '{background:url("' + U + '.gif")}'`, false},
	{"style data of one of its texts", `const s = document.head.appendChild(document.createElement('style')); s.append('a{}', 'b{}'); s.lastChild.data = E() + '{background:url("' + U + '.gif")}'`, true},
	{"style text node", `const s = document.head.appendChild(document.createElement('style')); s.appendChild(document.createTextNode(E() + '{background:url("' + U + '.gif")}'))`, true},
	{"style innerHTML", `const s = document.head.appendChild(document.createElement('style')); s.innerHTML = E() + '{background:url("' + U + '.gif")}'`, false},
	{"style filled in place", `const s = document.head.appendChild(document.createElement('style')); await new Promise(f => setTimeout(f)); s.textContent = E() + '{background:url("' + U + '.gif")}'`, false},
	{"style innerText in place", `const s = document.head.appendChild(document.createElement('style')); await new Promise(f => setTimeout(f)); s.innerText = E() + '{background:url("' + U + '.gif")}'`, false},
	{"style attribute", `document.querySelector(E()).setAttribute('style', 'background:url(' + U + '.gif)')`, true},
	{"style attribute in markup", `document.body.appendChild(document.createElement('div')).innerHTML = '<p style="background:url(' + U + '.gif)">x</p>'`, true},
	{"element.style", `document.querySelector(E()).style.setProperty('background-image', 'url(' + U + '.gif)')`, true},
	{"element.style.cssText", `document.querySelector(E()).style.cssText = 'background:url(' + U + '.gif)'`, true},
	{"srcdoc", `const f = document.createElement('iframe'); f.srcdoc = '<p>x<img src="' + U + '.gif">'; document.body.append(f)`, false},
	{"srcdoc in place", `const f = document.body.appendChild(document.createElement('iframe')); f.srcdoc = '<p>x<img src="' + U + '.gif">'`, false},
	{"innerHTML srcdoc", `document.body.appendChild(document.createElement('div')).innerHTML = '<iframe srcdoc="<img src=' + U + '.gif>"></iframe>'`, false},
	{"frame: fetch", `const f = document.body.appendChild(document.createElement('iframe')); await f.contentWindow.fetch(U).catch(() => {})`, true},
	{"frame: new Image", `const f = document.body.appendChild(document.createElement('iframe')); new f.contentWindow.Image().src = U + '.gif'`, true},
	{"frame: script", `const f = document.body.appendChild(document.createElement('iframe')), s = f.contentDocument.createElement('script'); s.src = U + '.js'; f.contentDocument.body.append(s)`, false},
	{"frame: document.write", `const f = document.body.appendChild(document.createElement('iframe')); f.contentDocument.write('<img src="' + U + '.gif">'); f.contentDocument.close()`, false},
	{"frame: document.append", `const d = document.body.appendChild(document.createElement('iframe')).contentDocument, h = d.createElement('html'), s = d.createElement('script');
		s.text = "self.meter = () => {}; meter(1,'init'); new Image().src='https://free.example" + P + ".gif'"; h.append(s); d.documentElement.remove(); d.append(h)`, false},
	{"frame in a frame", `const f = document.body.appendChild(document.createElement('iframe')), g = f.contentDocument.body.appendChild(f.contentDocument.createElement('iframe')); new g.contentWindow.Image().src = U + '.gif'`, true},
	{"insertRule", `const s = document.head.appendChild(document.createElement('style')); s.sheet.insertRule(E() + '{background:url(' + U + '.gif)}')`, true},
	{"addRule", `const s = document.head.appendChild(document.createElement('style')); s.sheet.addRule(E(), 'background:url(' + U + '.gif)')`, true},
	{"replace", `const s = new CSSStyleSheet(); await s.replace(E() + '{background:url(' + U + '.gif)}'); document.adoptedStyleSheets.push(s)`, true},
	{"replaceSync", `const s = new CSSStyleSheet(); s.replaceSync(E() + '{background:url(' + U + '.gif)}'); document.adoptedStyleSheets.push(s)`, true},
	{"FontFace", `await new FontFace('f', 'url(' + U + '.woff)').load().catch(() => {})`, true},
	{"fetch", `await fetch(U).catch(() => {})`, true},
	{"fetch Request", `await fetch(new Request(U)).catch(() => {})`, true},
	{"XMLHttpRequest", `await new Promise(f => { const x = new XMLHttpRequest(); x.onloadend = f; x.open('GET', U); x.send() })`, true},
	{"sendBeacon", `navigator.sendBeacon(U, 'x')`, true},
	{"WebSocket", `await new Promise(f => { new WebSocket(U.replace('https', 'wss')).onerror = f })`, true},
	{"EventSource", `await new Promise(f => { const e = new EventSource(U); e.onerror = () => { e.close(); f() } })`, true},
	{"Worker of first party named by a rule", `await new Promise(f => { const w = new Worker('/meter-proxy' + P + '.js'); w.onerror = f; setTimeout(f, 200) })`, true},
	{"SharedWorker of first party named by a rule", `await new Promise(f => { const w = new SharedWorker('/meter-proxy' + P + '.js'); w.onerror = f; setTimeout(f, 200) })`, true},
	{"form.submit without a click", `const f = document.createElement('form'), i = document.createElement('iframe'); i.name = 'sink'; document.body.append(i, f); f.action = U; f.target = 'sink'; f.submit()`, true},
	{"service worker", `await navigator.serviceWorker.register('/meter-proxy' + P + '.js').catch(() => {})`, true},
}

// prelude gives a snippet its address, and E, which makes an element that can
// be seen and returns a selector for it, and inline, which makes a script that
// a rule knows by its text.
const prelude = `const P = %q, U = 'https://meter.example' + P;
const E = () => { const e = document.body.appendChild(document.createElement('p')); e.textContent = e.className = 'e' + Math.random().toString(36).slice(2); return '.' + e.className };
const inline = () => { const s = document.createElement('script'); s.text = "meter(1,'init'); new Image().src='https://free.example" + P + ".gif'"; self.meter = () => {}; return s };
%s
`

// rendered is settle for what is asked for when the page is drawn, as pictures in
// style sheets are: it waits for frames, and for a third party's answer.
const rendered = `
for (let n = 0; n < 3; n++) await new Promise(f => requestAnimationFrame(() => setTimeout(f, 0)));
await fetch('https://free.example/barrier', {mode: 'no-cors'});
` + settle

func TestScriptsAskFirst(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	path := func(i int) string { return fmt.Sprintf("/case-%d.", i) }
	run := func(t *testing.T, i int) {
		do[bool](t, ctx, fmt.Sprintf(prelude, path(i), interceptions[i].code)+"return true")
	}
	each := func(stage string, f func(t *testing.T, i int)) {
		for i, c := range interceptions {
			t.Run(c.name+"/"+stage, func(t *testing.T) { f(t, i) })
		}
	}
	none := func(t *testing.T, i int) {
		if got := w.third(path(i)); len(got) > 0 {
			t.Errorf("%v", got)
		}
	}
	for i := range interceptions {
		run(t, i)
	}
	do[bool](t, ctx, rendered)
	each("none before consent", none)

	do[bool](t, ctx, `await askfirst.set('accept-all');`+rendered)
	each("a call is not made again", func(t *testing.T, i int) {
		if interceptions[i].again {
			none(t, i)
			run(t, i)
		}
	})
	do[bool](t, ctx, settle)
	each("one after consent", func(t *testing.T, i int) {
		if got := w.await(path(i), 1); len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
}

func TestPageChangesItsMind(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[string](t, ctx, `
const make = () => { const i = document.body.appendChild(document.createElement('img')); i.src = 'https://meter.example/mind.gif'; return i };
const [replaced, removed, renamed] = [make(), make(), make()];
while (replaced.dataset.askfirstCategory === 'unknown') await new Promise(f => setTimeout(f));
const held = [replaced.src, replaced.hasAttribute('src'), replaced.dataset.askfirstVendor].join();
replaced.src = '/own.gif';
removed.removeAttribute('src');
renamed.setAttribute('src', 'https://adder.example/mind.gif');
while (renamed.dataset.askfirstCategory === 'unknown') await new Promise(f => setTimeout(f));
return [held, replaced.outerHTML, removed.outerHTML, renamed.dataset.askfirstCategory].join(' ')`)
	if want := `https://meter.example/mind.gif,false,meter <img src="/own.gif"> <img> marketing`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	do[bool](t, ctx, `await askfirst.set(['analytics']);`+settle)
	if got := w.third("mind"); len(got) > 0 {
		t.Errorf("asked for %v", got)
	}
}

// TestWhatEntersUnseenIsHeld a moment later: by a way into the page that is not
// wrapped.
func TestWhatEntersUnseenIsHeld(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	got := do[string](t, ctx, `const known = document.body.appendChild(document.createElement('img'));
known.src = 'https://meter.example/known.gif';
while (known.dataset.askfirstCategory === 'unknown') await new Promise(f => setTimeout(f));
const box = document.body.appendChild(document.createElement('div'));
box.contentEditable = 'true'; box.focus();
document.execCommand('insertHTML', false, '<img class="in" src="https://meter.example/unseen.gif">');
const image = box.querySelector('.in');
await null;
return [image.hasAttribute('src'), image.dataset.askfirstVendor].join()`)
	if got != "false,meter" {
		t.Errorf("it is %s", got)
	}
}

// TestNoscriptKeepsItsText beside something held: where scripts run it has no
// elements.
func TestNoscriptKeepsItsText(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[string](t, ctx, `const d = document.body.appendChild(document.createElement('div'));
d.innerHTML = '<noscript><img src="https://free.example/noscript.gif"></noscript><img src="https://meter.example/noscript.gif">';
const text = d.firstChild.textContent;
await askfirst.set('accept-all');
return [d.querySelectorAll('img').length, d.firstChild.childElementCount, text].join()`)
	if want := `1,0,<img src="https://free.example/noscript.gif">`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	do[bool](t, ctx, settle)
	if got := w.third("noscript"); !slices.Equal(got, []string{"meter.example/noscript.gif"}) {
		t.Errorf("asked for %v", got)
	}
}

// TestFramesFireLoadForWhatTheyAreFor and not for the nothing that they show
// while they wait or are held.
func TestFramesFireLoadForWhatTheyAreFor(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	got := do[string](t, ctx, until+`const said = [];
const frame = (name, fields) => {
	const f = Object.assign(document.createElement('iframe'), fields, {hidden: true, onload: () => said.push(name)});
	document.body.append(f);
	return f;
};
frame('waits', {src: 'https://free.example/frame'});
said.push('appended');
await until(() => said[1]);
const held = frame('held', {src: 'https://meter.example/frame'});
await until(() => held.dataset.askfirstCategory === 'analytics');
frame('srcdoc', {srcdoc: '<img src="https://meter.example/frame.gif">'});
await until(() => said[2]);
said.push('asked');
await askfirst.set(['analytics']);
await until(() => said.includes('held'));
return said.slice(0, 4).join() + said.filter(name => name === 'held').length`)
	if want := "appended,waits,srcdoc,asked1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestOtherDocumentsStay checks that what scripts do to documents that are not
// shown is left as they did it: editors compare and save what they read there.
func TestOtherDocumentsStay(t *testing.T) {
	ctx := tab(t, browser(t, newWorld(t)), "/")
	const markup = `<p><img src="https://meter.example/other.gif"></p><script src="https://meter.example/other.js"></script><iframe src="https://meter.example/other"></iframe>`
	for name, code := range map[string]string{
		"innerHTML":    `const d = document.implementation.createHTMLDocument(''); d.body.innerHTML = M; return d.body.innerHTML`,
		"fragment":     `const d = document.implementation.createHTMLDocument(''), r = d.createRange(); r.selectNodeContents(d.body); d.body.append(r.createContextualFragment(M)); return d.body.innerHTML`,
		"moved":        `const d = new DOMParser().parseFromString(M, 'text/html'), e = d.createElement('div'); e.append(...d.body.childNodes); d.body.append(e); return e.innerHTML`,
		"setAttribute": `const d = document.implementation.createHTMLDocument(''); d.body.innerHTML = M.replace(/src=".*?"/g, 'src=""'); for (const e of d.querySelectorAll('[src]')) e.setAttribute('src', M.match(RegExp('<' + e.localName + ' src="(.*?)"'))[1]); return d.body.innerHTML`,
		"template":     `const t = document.createElement('template'); t.innerHTML = M; return t.innerHTML`,
	} {
		if got := do[string](t, ctx, "const M = `"+strings.ReplaceAll(markup, "</script>", `<\/script>`)+"`; "+code); got != markup {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestUnseen makes images of a third party that nobody knows, which are held where
// they are there to be counted and not seen.
func TestUnseen(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	cases := []struct {
		attributes string
		held       bool
	}{
		{`width="1" height="1"`, true},
		{`width="0"`, true},
		{`width="1" height="50"`, false},
		{`width="1%" height="1%"`, false},
		{`style="width:1px;height:1px"`, true},
		{`style="width:1em;height:1em"`, false},
		{`style="display:none"`, true},
		{`hidden`, true},
		{`style="width:0;height:0;min-width:100%;min-height:100%"`, false},
		{`style="width:0;height:0;min-width:0"`, true},
		{`width="320" height="200"`, false},
	}
	for i, c := range cases {
		do[bool](t, ctx, fmt.Sprintf("document.body.appendChild(document.createElement('div')).innerHTML = '<img %s src=\"https://free.example/unseen-%d.\">'; return true", c.attributes, i))
	}
	do[bool](t, ctx, rendered)
	for i, c := range cases {
		if held := len(w.third(fmt.Sprintf("/unseen-%d.", i))) == 0; held != c.held {
			t.Errorf("%s: held %v, want %v", c.attributes, held, c.held)
		}
	}
}
