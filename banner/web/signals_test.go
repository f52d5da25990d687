package web

import (
	"strings"
	"testing"
)

// configured is a page of a site with settings of signals, and of a visitor who
// stands as the attributes say.
func configured(t *testing.T, w *world, path, settings, standing, body string) {
	t.Helper()
	w.set("/_askfirst/site.js", "self.__askfirst_rules="+testRules+";"+settings+string(w.guard))
	page := strings.Replace(document(body), "guard.0.js", "site.js", 1)
	w.set(path, strings.Replace(page, `data-granted="-" data-made="0" data-regime="opt-in"`, standing, 1))
}

// said is what Google's tags would read, without Google's own events.
const said = `return dataLayer.filter(e => e[0]).map(e => [e[0], e[1], typeof e[2] === 'object' ? [e[2].ad_storage, e[2].analytics_storage, e[2].wait_for_update, e[2].region && e[2].region.join('+')].filter(x => x).join(' ') : e[2]].join(':')).join('|')`

func TestConsentModeSettings(t *testing.T) {
	const (
		asked    = `data-granted="-" data-made="0" data-regime="opt-in"`
		optedOut = `data-granted="fa" data-made="0" data-regime="opt-out"`
		free     = `data-granted="fams" data-made="0" data-regime="opt-out"`
		agreed   = `data-granted="fams" data-made="1" data-regime="opt-in"`
	)
	w := newWorld(t)
	b := browser(t, w)
	for _, c := range []struct{ name, settings, standing, want string }{
		{"basic", "", asked, "consent:default:denied denied 500"},
		{"with a choice", "", agreed, "consent:default:denied denied 500|consent:update:granted granted"},
		{"opt-out", "", free, "consent:default:denied denied 500|consent:update:granted granted"},
		{"opt-out with GPC", "", optedOut, "consent:default:denied denied 500|consent:update:denied granted"},
		{"settings", `{wait:1500,urlPassthrough:true,adsDataRedaction:true}`, asked,
			"consent:default:denied denied 1500|set:url_passthrough:true|set:ads_data_redaction:true"},
		{"regions under opt-out", `{regions:['DE','US-CA']}`, free, "consent:default:granted granted 500|consent:default:denied denied 500 DE+US-CA"},
		{"regions under opt-in", `{regions:['DE']}`, asked, "consent:default:denied denied 500|consent:default:denied denied 500 DE"},
		{"regions with a choice", `{regions:['DE']}`, agreed, "consent:default:denied denied 500|consent:default:denied denied 500 DE|consent:update:granted granted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := ""
			if c.settings != "" {
				settings = "self.__askfirst_site={google:" + c.settings + "};"
			}
			configured(t, w, "/google", settings, c.standing, "")
			if got := do[string](t, tab(t, b, "/google"), said); got != c.want {
				t.Errorf("Google is told\n%s, want\n%s", got, c.want)
			}
		})
	}
	t.Run("off", func(t *testing.T) {
		configured(t, w, "/google", "self.__askfirst_site={google:{mode:'off'}};", agreed, "")
		if got := do[string](t, tab(t, b, "/google"), `return typeof gtag + JSON.stringify(dataLayer)`); got != `undefined[{"event":"askfirst_consent","askfirst":{"categories":["functional","analytics","marketing","social"]}}]` {
			t.Errorf("Google is told %s", got)
		}
	})
}

// Tags that take words by a queue hear of consent before their own first word,
// as their published snippets begin.
func TestQueuesAreToldFirst(t *testing.T) {
	const snippets = `<script>
(function(w,u){ w[u]=w[u]||[]; w[u].push('pageLoad') })(window,'uetq');
(function(c,a){ c[a]=c[a]||function(){(c[a].q=c[a].q||[]).push(arguments)}; c[a]('set','a','b') })(window,'clarity');
var _paq = window._paq = window._paq || []; _paq.push(['requireConsent']); _paq.push(['trackPageView']);
self.started = JSON.stringify([uetq, clarity.q.map(a => [...a]), _paq]);
uetq = {push(...a) { (self.live ??= []).push(a) }};
</script>`
	w := newWorld(t)
	b := browser(t, w)
	for standing, want := range map[string]string{
		`data-granted="-" data-made="0" data-regime="opt-in"`: `[["consent","default",{"ad_storage":"denied"},"pageLoad"],` +
			`[["consentv2",{"ad_Storage":"denied","analytics_Storage":"denied"}],["set","a","b"]],[["requireConsent"],["trackPageView"]]]`,
		`data-granted="am" data-made="1" data-regime="opt-in"`: `[["consent","default",{"ad_storage":"denied"},"consent","update",{"ad_storage":"granted"},"pageLoad"],` +
			`[["consentv2",{"ad_Storage":"granted","analytics_Storage":"granted"}],["set","a","b"]],` +
			`[["setConsentGiven"],["setCookieConsentGiven"],["requireConsent"],["trackPageView"]]]`,
	} {
		configured(t, w, "/queues", "", standing, snippets)
		ctx := tab(t, b, "/queues")
		if got := do[string](t, ctx, `return started`); got != want {
			t.Errorf("the queues hold\n%s, want\n%s", got, want)
		}
		// The tag that has loaded hears of the choice that stands, and of the next.
		got := do[string](t, ctx, `const before = JSON.stringify(live); live.length = 0; await askfirst.set(['marketing']); return before + JSON.stringify(live)`)
		word := "denied"
		if strings.Contains(standing, "am") {
			word = "granted"
		}
		if want := `[["consent","update",{"ad_storage":"` + word + `"}]]`; !strings.HasPrefix(got, want) || !strings.Contains(got[len(want):], `"update",{"ad_storage":"granted"}`) && word == "denied" {
			t.Errorf("the tag hears %s", got)
		}
	}
}

func TestTagsAreToldOfGrantAndWithdrawal(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[string](t, ctx, `
self.heard = [];
self.fbq = (...a) => heard.push('fbq ' + a);
self.ttq = {grantConsent: () => heard.push('ttq grant'), revokeConsent: () => heard.push('ttq revoke')};
self.pintrk = (...a) => heard.push('pintrk ' + a);
self._paq = {push: a => heard.push('paq ' + a)};
self.uetq = {push: (...a) => heard.push('uetq ' + JSON.stringify(a))};
self.clarity = (...a) => heard.push('clarity ' + JSON.stringify(a));
heard.length = 0;
await askfirst.set('accept-all');
return heard.sort().join('|')`)
	want := `clarity ["consentv2",{"ad_Storage":"granted","analytics_Storage":"granted"}]|fbq consent,grant|paq setConsentGiven|paq setCookieConsentGiven|pintrk setconsent,true|ttq grant|uetq ["consent","update",{"ad_storage":"granted"}]`
	if got != want {
		t.Errorf("on consent these are told\n%s, want\n%s", got, want)
	}
	leave(t, ctx, `for (const name of ['fbq', 'pintrk', 'clarity']) self[name] = (...a) => localStorage[name] = JSON.stringify(a);
self.ttq = {grantConsent: () => localStorage.ttq = 'grant', revokeConsent: () => localStorage.ttq = 'revoke'};
self.uetq = {push: (...a) => localStorage.uetq = JSON.stringify(a)};
self._paq = {push: a => localStorage.paq = (localStorage.paq || '') + a + ';'};
localStorage.clear();
void askfirst.set('reject-all')`)
	got = do[string](t, ctx, `return [...Object.keys(localStorage)].sort().map(k => k + ' ' + localStorage[k]).join('|')`)
	want = `clarity ["consentv2",{"ad_Storage":"denied","analytics_Storage":"denied"}]|fbq ["consent","revoke"]|paq forgetConsentGiven;forgetCookieConsentGiven;|pintrk ["setconsent",false]|ttq revoke|uetq ["consent","update",{"ad_storage":"denied"}]`
	if got != want {
		t.Errorf("on withdrawal these are told\n%s, want\n%s", got, want)
	}
}

// window.askfirst as the documentation has it.
func TestPageInterface(t *testing.T) {
	w := newWorld(t)
	ctx := tab(t, browser(t, w), "/")
	got := do[string](t, ctx, `
const out = [JSON.stringify(askfirst.get())], heard = [];
const stop = askfirst.on(c => heard.push(c.categories.join('+')));
await askfirst.set(['analytics', 'nonsense']);
await askfirst.set('accept-all');
stop();
out.push(heard.join(), JSON.stringify(askfirst.get()), dataLayer.filter(e => e.event === 'askfirst_consent').map(e => e.askfirst.categories.join('+')).join());
out.push(askfirst.open(), document.querySelector('askfirst-banner').hasAttribute('data-askfirst-open'), Object.isFrozen(askfirst));
return out.join('|')`)
	want := `{"made":false,"categories":[],"regime":"opt-in","gpc":false}|analytics,functional+analytics+marketing+social|` +
		`{"made":true,"categories":["functional","analytics","marketing","social"],"regime":"opt-in","gpc":false}|analytics,functional+analytics+marketing+social|true|true|true`
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.choices) != 2 || w.choices[0]["method"] != "api" {
		t.Errorf("the proxy was told %v", w.choices)
	}
}

// TestObjectionIsRecordedOnce: of a page and the frames of the site's own in it the
// page puts the browser's objection on record.
func TestObjectionIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	w.refuse = true // so that no cookie tells the one of the other
	objecting := strings.Replace(document(`BODY`), "<head>", `<head><script>Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})</script>`, 1)
	objecting = strings.Replace(objecting, `data-regime="opt-in"`, `data-regime="opt-out"`, 1)
	w.set("/inner", strings.Replace(objecting, "BODY", "", 1))
	w.set("/outer", strings.Replace(objecting, "BODY", `<iframe src="/inner"></iframe>`, 1))
	do[bool](t, tab(t, browser(t, w), "/outer"), settle)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.choices) != 1 || w.choices[0]["choice"] != "gpc" {
		t.Errorf("on record: %v", w.choices)
	}
}
