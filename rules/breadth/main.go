// Command breadth makes rules/breadth.tsv, the facts about domains beyond the
// catalogue, from the data of the npm package third-party-web (MIT) and from the
// adapters of the npm package prebid.js (Apache-2.0).
//
//	npm pack third-party-web@0.30.0 prebid.js@11.36.0
//	mkdir third-party-web prebid
//	tar xzf third-party-web-0.30.0.tgz -C third-party-web
//	tar xzf prebid.js-11.36.0.tgz -C prebid
//	go run ./rules/breadth third-party-web/package/dist/entities-nostats.json \
//	    prebid/package/dist/src/modules > rules/breadth.tsv
//
// Only facts are taken: which domain belongs to which product of which company,
// what kind of product that is, and which domain an adapter sends to.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// categories maps the package's categories to ours. Those that are not here say
// nothing about consent (hosting, cdn, utility, content, other), or are too
// coarse to hold a site's own pictures by (social, video): they give a name to
// an unclassified third party.
var categories = map[string]string{
	"ad":               "marketing",
	"marketing":        "marketing",
	"analytics":        "analytics",
	"customer-success": "functional",
	"tag-manager":      "functional",
	"consent-provider": "necessary",
}

// content are domains of advertising and analytics companies from which sites
// load their own pictures, pages or shops.
var content = []string{
	"10cms.com", "adis.ws", "amplience.com", "amplience.net", "bigcontent.io", "tcdn.com.br", // product pictures
	"hp.com", "xboxlive.com", "ibmcloud.com", "s81c.com", "bbb.org", "answers.com", "hotukdeals.com", // sites of their own
	"cdngc.net", "imageg.net", "llnwd.net", "limelight.com", "delvenetworks.com", "wishabi.com", "wishabi.net", "hostingprod.com", "zenfs.com", // content delivery
}

type entity struct {
	Name     string   `json:"name"`
	Company  string   `json:"company"`
	Category string   `json:"category"`
	Domains  []string `json:"domains"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: breadth entities-nostats.json modules > breadth.tsv")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "breadth:", err)
		os.Exit(1)
	}
}

func run(file, modules string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var entities []entity
	if err := json.Unmarshal(text, &entities); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rows := map[string]string{}
	for _, e := range entities {
		for _, d := range e.Domains {
			domain := strings.ToLower(strings.TrimPrefix(d, "*."))
			category := categories[e.Category]
			if category == "" || slices.Contains(content, domain) {
				category = "unclassified"
			}
			if !strings.Contains(domain, ".") || strings.Contains(domain, "*") || rows[domain] != "" {
				continue
			}
			rows[domain] = strings.Join([]string{domain, category, clean(e.Name), clean(e.Company)}, "\t")
		}
	}
	if err := addAdapters(modules, rows); err != nil {
		return err
	}
	domains := make([]string, 0, len(rows))
	for d := range rows {
		domains = append(domains, d)
	}
	slices.Sort(domains)
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "# Domains beyond the catalogue: domain, category, product, company.")
	fmt.Fprintln(out, "# Made by rules/breadth from the npm packages third-party-web, MIT, and prebid.js, Apache-2.0, see NOTICE.")
	for _, d := range domains {
		fmt.Fprintln(out, rows[d])
	}
	return out.Flush()
}

func clean(s string) string { return strings.Join(strings.Fields(s), " ") }
