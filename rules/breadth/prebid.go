package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// shared are domains whose owners do much else beside advertising: of these,
// only the host that an adapter sends to is taken. Those that serve everybody
// are not taken at all.
var (
	shared = []string{
		"allegro.pl", "dailyhunt.in", "gjirafa.com", "hinet.net", "i18n-pglstatp.com", "mail.ru", "mql5.com",
		"mall.tv", "opera.com", "otto.de", "qt.io", "telkomsel.com",
	}
	everybodys = []string{
		"prebid.org", "github.com", "w3.org", "iabtechlab.com", "schema.org", "ampproject.org", "googleapis.com",
		"gstatic.com", "google.com", "jsdelivr.net", "unpkg.com", "example.com", "ocdn.eu", "sgp1.cdn.digitaloceanspaces.com",
	}
)

var (
	comments  = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)(?:^|\s)//[^\n]*`)
	addresses = regexp.MustCompile("[\"'`](?:https?:)?//([a-zA-Z0-9.-]+\\.[a-z]{2,})[/\"'`:?]")
)

// addAdapters adds the domains that Prebid's adapters send to and that are not
// in rows yet. An adapter's name is its product's.
func addAdapters(modules string, rows map[string]string) error {
	files, err := filepath.Glob(filepath.Join(modules, "*.js"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s: no modules", modules)
	}
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".js")
		category := "marketing"
		for _, kind := range []string{"BidAdapter", "AnalyticsAdapter", "IdSystem", "RtdProvider", "VideoProvider"} {
			if product, ok := strings.CutSuffix(name, kind); ok {
				if name = product; kind == "AnalyticsAdapter" {
					category = "analytics"
				}
			}
		}
		for _, m := range addresses.FindAllSubmatch(comments.ReplaceAll(text, nil), -1) {
			host := strings.ToLower(string(m[1]))
			domain, err := publicsuffix.EffectiveTLDPlusOne(host)
			if err != nil || slices.Contains(everybodys, domain) {
				continue
			}
			if rows[domain] != "" {
				continue
			}
			if slices.Contains(shared, domain) {
				domain = strings.TrimPrefix(host, "www.")
			}
			if rows[domain] == "" {
				rows[domain] = strings.Join([]string{domain, category, clean(name), ""}, "\t")
			}
		}
	}
	return nil
}
