package demo

import (
	"encoding/json"
	"fmt"
	"strings"
)

// answer is what a stand-in sends.
type answer uint8

const (
	answerAny answer = iota // what Sec-Fetch-Dest asks for
	answerScript
	answerFrame
	answerStyle
)

// tag is how one third party's resource behaves.
type tag struct {
	host, path string // path is a prefix
	answer     answer
	// cookies are set by the third party on its own host, writes by its script
	// on the site's.
	cookies, writes []string
	// beacons are requested by the script, as images; host/path.
	beacons []string
	// loads are scripts that the script adds to the page; host/path.
	loads []string
	// fills is a selector of the elements that the script turns into a widget.
	fills string
}

// tags is searched from the top. It mirrors what the vendors' tags do, as far
// as consent is concerned.
var tags = []tag{
	{host: "www.googletagmanager.com", path: "/gtm.js", answer: answerScript,
		loads: []string{"static.hotjar.com/c/hotjar-2222222.js?sv=6", "snap.licdn.com/li.lms-analytics/insight.min.js?tag=manager", "widget.intercom.io/widget/demo?tag=manager"}},
	{host: "www.googletagmanager.com", path: "/gtag/js", answer: answerScript, writes: []string{"_ga", "_ga_DEMO12345"}, beacons: []string{"www.google-analytics.com/g/collect?v=2&tid=G-DEMO12345"}},
	{host: "www.googletagmanager.com", path: "/ns.html", answer: answerFrame},
	{host: "connect.facebook.net", path: "/en_US/fbevents.js", answer: answerScript, writes: []string{"_fbp"}, beacons: []string{"www.facebook.com/tr?id=1234567890&ev=PageView"}},
	{host: "connect.facebook.net", path: "/en_US/sdk.js", answer: answerScript, fills: ".fb-like, .fb-comments, .fb-login-button"},
	{host: "www.facebook.com", path: "/tr", cookies: []string{"fr"}},
	{host: "snap.licdn.com", path: "/", answer: answerScript, writes: []string{"li_fat_id"}, beacons: []string{"px.ads.linkedin.com/collect?pid=123456"}},
	{host: "px.ads.linkedin.com", path: "/", cookies: []string{"bcookie", "lidc"}},
	{host: "static.ads-twitter.com", path: "/uwt.js", answer: answerScript, beacons: []string{"analytics.twitter.com/i/adsct?txn_id=demo"}},
	{host: "analytics.twitter.com", path: "/", cookies: []string{"personalization_id"}},
	{host: "platform.twitter.com", path: "/widgets.js", answer: answerScript, fills: ".twitter-timeline, .twitter-tweet"},
	{host: "analytics.tiktok.com", path: "/i18n/pixel/events.js", answer: answerScript, writes: []string{"_ttp"}, beacons: []string{"analytics.tiktok.com/api/v2/pixel"}},
	{host: "s.pinimg.com", path: "/ct/core.js", answer: answerScript, writes: []string{"_pin_unauth"}, beacons: []string{"ct.pinterest.com/v3/?event=init"}},
	{host: "assets.pinterest.com", path: "/js/pinit.js", answer: answerScript, fills: "[data-pin-do]"},
	{host: "bat.bing.com", path: "/bat.js", answer: answerScript, writes: []string{"_uetsid", "_uetvid"}, beacons: []string{"bat.bing.com/action/0?ti=demo"}},
	{host: "bat.bing.com", path: "/action/", cookies: []string{"MUID"}},
	{host: "www.clarity.ms", path: "/tag/", answer: answerScript, writes: []string{"_clck", "_clsk"}, beacons: []string{"c.clarity.ms/c.gif"}},
	{host: "static.hotjar.com", path: "/", answer: answerScript, writes: []string{"_hjSessionUser_2222222"}},
	{host: "js.hs-scripts.com", path: "/", answer: answerScript, writes: []string{"hubspotutk", "__hstc"}, beacons: []string{"track.hubspot.com/__ptq.gif?k=1"}},
	{host: "js.hsforms.net", path: "/", answer: answerScript, fills: "#hubspot-form"},
	{host: "cdn.livechatinc.com", path: "/tracking.js", answer: answerScript, cookies: []string{"__lc_cid"}},
	{host: "widget.intercom.io", path: "/", answer: answerScript, writes: []string{"intercom-id-demo"}},
	{host: "static.zdassets.com", path: "/", answer: answerScript, writes: []string{"__zlcmid"}},
	{host: "nordhang.disqus.com", path: "/embed.js", answer: answerScript, cookies: []string{"disqus_unique"}, fills: "#disqus_thread"},
	{host: "platform-api.sharethis.com", path: "/", answer: answerScript, cookies: []string{"__stid"}, fills: ".sharethis-inline-share-buttons"},
	{host: "s7.addthis.com", path: "/", answer: answerScript, writes: []string{"__atuvc"}, fills: ".addthis_inline_share_toolbox"},
	{host: "www.youtube.com", path: "/embed/", answer: answerFrame, cookies: []string{"VISITOR_INFO1_LIVE", "YSC"}},
	{host: "www.youtube-nocookie.com", path: "/embed/", answer: answerFrame},
	{host: "player.vimeo.com", path: "/video/", answer: answerFrame, cookies: []string{"vuid"}},
	{host: "www.google.com", path: "/maps/embed", answer: answerFrame, cookies: []string{"NID"}},
	{host: "www.google.com", path: "/recaptcha/api.js", answer: answerScript, cookies: []string{"_GRECAPTCHA"}, fills: ".g-recaptcha"},
	{host: "fonts.googleapis.com", path: "/css2", answer: answerStyle},
	{host: "accounts.google.com", path: "/gsi/client", answer: answerScript, fills: ".g_id_signin"},
	{host: "cdn.segment.com", path: "/", answer: answerScript, writes: []string{"ajs_anonymous_id"}, beacons: []string{"api.segment.io/v1/p"}},
	{host: "cdn.mxpnl.com", path: "/", answer: answerScript, writes: []string{"mp_demo_mixpanel"}, beacons: []string{"api-js.mixpanel.com/track/?data=demo"}},
	{host: "cdn.onesignal.com", path: "/", answer: answerScript},
	{host: "www.gstatic.com", path: "/firebasejs/", answer: answerScript},
	{host: "embed.typeform.com", path: "/next/embed.js", answer: answerScript, fills: "[data-tf-live]"},
	{host: "widget.surveymonkey.com", path: "/", answer: answerScript, fills: "#survey"},
	{host: "googleads.g.doubleclick.net", path: "/", cookies: []string{"IDE"}},
	{host: "ad.doubleclick.net", path: "/", cookies: []string{"IDE"}},
}

// tagAt returns how the resource at host and path behaves; one that is not
// listed answers whatever was asked for and does nothing.
func tagAt(host, path string) tag {
	for _, t := range tags {
		if t.host == host && strings.HasPrefix(path, t.path) {
			return t
		}
	}
	return tag{}
}

// code is the script of t. It notes in window.demoFired that it ran.
func (t *tag) code(host, path string, origin func(host string) string) string {
	at := func(targets []string) []string {
		urls := []string{}
		for _, target := range targets {
			host, path, _ := strings.Cut(target, "/")
			urls = append(urls, origin(host)+"/"+path)
		}
		return urls
	}
	what, err := json.Marshal(map[string]any{
		"name":    host + path,
		"host":    host,
		"writes":  t.writes,
		"beacons": at(t.beacons),
		"loads":   at(t.loads),
		"fills":   t.fills,
	})
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(tagScript, what)
}

const tagScript = `(function (tag) {
  (window.demoFired = window.demoFired || []).push(tag.name);
  (tag.writes || []).forEach(function (name) { document.cookie = name + "=demo; path=/; max-age=31536000"; });
  tag.beacons.forEach(function (url) { new Image().src = url; });
  tag.loads.forEach(function (url) {
    var script = document.createElement("script");
    script.async = true;
    script.src = url;
    document.head.appendChild(script);
  });
  function fill() {
    document.querySelectorAll(tag.fills).forEach(function (widget) {
      if (widget.dataset.filled) return;
      widget.dataset.filled = "1";
      var box = document.createElement("p");
      box.className = "widget";
      box.textContent = tag.host + " — a stand-in, now contacted";
      widget.appendChild(box);
    });
  }
  if (tag.fills) document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", fill) : fill();
})(%s);
`
