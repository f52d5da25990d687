// Package demo is a marketing site full of trackers and the third parties that
// they report to, all on this machine. It shows a newcomer what askfirst does,
// and it is what the browser tests drive.
//
//	parties := demo.NewParties()
//	origin := func(host string) string { return "http://" + host + ".localhost:8081" }
//	go http.ListenAndServe("127.0.0.1:8081", parties)
//	go http.ListenAndServe("127.0.0.1:8082", demo.NewSite(origin))
package demo

import (
	"strings"

	"github.com/askfirst/askfirst/rules"
)

// Suffix is what the demo puts behind a third party's host name, so that its
// requests stay on this machine: browsers resolve *.localhost to it.
const Suffix = ".localhost"

// Overrides tells the rules that each vendor's hosts with Suffix behind them
// are that vendor's too.
func Overrides(vendors []*rules.Vendor) []rules.Override {
	var overrides []rules.Override
	for _, v := range vendors {
		for _, domain := range v.Domains {
			overrides = append(overrides, rules.Override{Domain: domain + Suffix, As: v.ID, Category: v.Category})
		}
		for _, pattern := range v.URLs {
			host, rest, _ := strings.Cut(pattern, "/")
			if host != "*" {
				host += Suffix
			}
			overrides = append(overrides, rules.Override{URL: host + "/" + rest, As: v.ID, Category: v.Category})
		}
	}
	return overrides
}
