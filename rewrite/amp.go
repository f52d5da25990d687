package rewrite

import (
	"bytes"

	"github.com/askfirst/askfirst/rewrite/scan"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// ampVendors are the addresses that AMP's runtime asks for an element, or for
// one of some type ("element type"), that names its vendor and no address.
var ampVendors = map[string]string{
	"amp-analytics adobeanalytics":  "https://metrics.omtrdc.net/b/ss/",
	"amp-analytics bing":            "https://bat.bing.com/action/0",
	"amp-analytics chartbeat":       "https://ping.chartbeat.net/ping",
	"amp-analytics comscore":        "https://sb.scorecardresearch.com/b",
	"amp-analytics facebookpixel":   "https://www.facebook.com/tr",
	"amp-analytics gtag":            "https://www.google-analytics.com/g/collect",
	"amp-analytics googleanalytics": "https://www.google-analytics.com/collect",
	"amp-analytics googleadwords":   "https://googleads.g.doubleclick.net/pagead/viewthroughconversion/",
	"amp-analytics linkedin":        "https://px.ads.linkedin.com/collect",
	"amp-analytics mediametrie":     "https://prof.estat.com/m/web/",
	"amp-analytics metrika":         "https://mc.yandex.ru/watch/",
	"amp-analytics moat":            "https://z.moatads.com/",
	"amp-analytics nielsen":         "https://secure-us.imrworldwide.com/cgi-bin/m",
	"amp-analytics oewa":            "https://oewa.ioam.de/tx.io",
	"amp-analytics parsely":         "https://srv.pixel.parsely.com/plogger/",
	"amp-analytics piwikpro":        "https://askfirst.piwik.pro/ppms.php",
	"amp-analytics quantcast":       "https://pixel.quantserve.com/pixel",
	"amp-analytics segment":         "https://api.segment.io/v1/pixel/page",
	"amp-analytics snowplow":        "https://sp.snowplowanalytics.com/i",
	"amp-analytics top100":          "https://kraken.rambler.ru/cnt/",
	"amp-ad a9":                     "https://c.amazon-adsystem.com/aax2/apstag.js",
	"amp-ad adsense":                "https://pagead2.googlesyndication.com/pagead/js/adsbygoogle.js",
	"amp-ad criteo":                 "https://static.criteo.net/js/ld/publishertag.js",
	"amp-ad doubleclick":            "https://securepubads.g.doubleclick.net/gampad/ads",
	"amp-ad mgid":                   "https://jsc.mgid.com/",
	"amp-ad outbrain":               "https://widgets.outbrain.com/hub/amp.html",
	"amp-ad taboola":                "https://cdn.taboola.com/libtrc/",
	"amp-ad teads":                  "https://a.teads.tv/media/format/v3/teads-format.min.js",
	"amp-ad yandex":                 "https://an.yandex.ru/system/context_amp.js",
	"amp-auto-ads adsense":          "https://pagead2.googlesyndication.com/getconfig/ama",
	"amp-auto-ads doubleclick":      "https://securepubads.g.doubleclick.net/gampad/ads",
	"amp-embed mgid":                "https://jsc.mgid.com/",
	"amp-embed outbrain":            "https://widgets.outbrain.com/hub/amp.html",
	"amp-embed taboola":             "https://cdn.taboola.com/libtrc/",
	"amp-facebook":                  "https://www.facebook.com/plugins/post.php",
	"amp-facebook-comments":         "https://www.facebook.com/plugins/comments.php",
	"amp-facebook-like":             "https://www.facebook.com/plugins/like.php",
	"amp-facebook-page":             "https://www.facebook.com/plugins/page.php",
	"amp-instagram":                 "https://www.instagram.com/embed.js",
	"amp-pinterest":                 "https://assets.pinterest.com/js/pinit.js",
	"amp-soundcloud":                "https://w.soundcloud.com/player/",
	"amp-tiktok":                    "https://www.tiktok.com/embed.js",
	"amp-twitter":                   "https://platform.twitter.com/widgets.js",
	"amp-vimeo":                     "https://player.vimeo.com/video/1",
	"amp-youtube":                   "https://www.youtube.com/embed/x",
}

// ampRules stand for what the rules know no vendor of: all types of
// amp-analytics are there to count, all of the others to show advertisements.
var ampRules = [...]rules.Rule{
	{Source: "vector", Text: "amp-analytics type"},
	{Source: "vector", Text: "amp-ad type"},
}

// judgeAMP decides about an AMP element by the i-th attribute, without which the
// runtime asks nobody for it: its type, or what it is to show.
func (rw *Rewriter) judgeAMP(i int, value []byte, v *vector) {
	if value = bytes.TrimSpace(value); len(value) == 0 {
		return
	}
	name := append(rw.text[:0], v.element...)
	if rw.tag.ids[i] == attrType {
		name = appendLower(append(name, ' '), value)
	}
	rw.text = name
	if url, ok := ampVendors[string(name)]; ok {
		rw.extra = append(rw.extra[:0], url...)
		if d := rw.doc.Rules.URL(rw.page, rw.extra, v.kind); d.Rule != nil {
			rw.hold(i, d, v, rw.page)
			return
		}
	}
	d := rules.Decision{Category: consent.Marketing, Party: rules.ThirdParty, Rule: &ampRules[1]}
	if rw.tag.elem == scan.AmpAnalytics {
		d.Category, d.Rule = consent.Analytics, &ampRules[0]
	}
	rw.hold(i, d, v, nil)
}
