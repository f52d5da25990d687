// Matchers puts askfirst's rules beside github.com/AdguardTeam/urlfilter: the
// same list, the same URLs of real pages, in one run, in turn. It is a module of
// its own, since urlfilter is under the GPL: nothing of it is in askfirst.
//
//	cd bench/matchers
//	go run . -list easyprivacy.txt -urls urls.tsv
//
// A line of urls.tsv is a kind (script, image, …), the page's address and the
// URL, between tabs. Neither file is part of this project.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/AdguardTeam/urlfilter"
	"github.com/AdguardTeam/urlfilter/filterlist"
	adguard "github.com/AdguardTeam/urlfilter/rules"

	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// request is a line of the URLs' file.
type request struct {
	kind      rules.Kind
	page, url []byte
	// address is the URL as text, which urlfilter wants.
	address, source string
}

// types are urlfilter's names of our kinds.
var types = map[rules.Kind]adguard.RequestType{
	rules.Script: adguard.TypeScript, rules.Style: adguard.TypeStylesheet, rules.Image: adguard.TypeImage,
	rules.Font: adguard.TypeFont, rules.Media: adguard.TypeMedia, rules.Frame: adguard.TypeSubdocument,
	rules.Object: adguard.TypeObject, rules.Connect: adguard.TypeXmlhttprequest, rules.Ping: adguard.TypePing,
}

func main() {
	log.SetFlags(0)
	list := flag.String("list", "", "an Adblock Plus `file`, such as easyprivacy.txt")
	urls := flag.String("urls", "", "a `file` of kinds, pages and URLs")
	rounds := flag.Int("rounds", 5, "how `often` each matcher meets all URLs")
	flag.Parse()
	if err := run(*list, *urls, *rounds); err != nil {
		log.Fatal("matchers: ", err)
	}
}

func run(list, urls string, rounds int) error {
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	requests, err := readRequests(urls)
	if err != nil {
		return err
	}

	var page rules.Page
	at := ""
	visit := func(r *request) {
		if r.source != at {
			page.Reset(r.page)
			at = r.source
		}
	}
	var alone, ours *rules.Engine
	var theirs *urlfilter.NetworkEngine
	loaded("askfirst, catalogue and breadth table", func() error {
		alone, err = rules.New(rules.Options{})
		return err
	})
	loaded("askfirst, the same and the list", func() error {
		ours, err = rules.New(rules.Options{Lists: []rules.List{{Name: "list", Format: rules.FormatABP, Category: consent.Marketing, Text: text}}})
		return err
	})
	loaded("urlfilter, the list", func() error {
		storage, err := filterlist.NewRuleStorage([]filterlist.RuleList{&filterlist.StringRuleList{ID: 1, RulesText: string(text), IgnoreCosmetic: true}})
		theirs = urlfilter.NewNetworkEngine(storage)
		return err
	})
	if err != nil {
		return err
	}

	var quiet []request
	for i := range requests {
		visit(&requests[i])
		if alone.URL(&page, requests[i].url, requests[i].kind).Rule == nil {
			quiet = append(quiet, requests[i])
		}
	}
	fmt.Printf("%d URLs, of which the catalogue knows nothing about %d\n", len(requests), len(quiet))
	fmt.Println("parse and match                              median ns   mean ns   allocations")
	var a, b float64
	contest(rounds, []contender{
		{"askfirst alone, URLs it knows nothing about", quiet, visit, func(r *request) { alone.URL(&page, r.url, r.kind) }, new(float64)},
		{"askfirst with the list, all URLs", requests, visit, func(r *request) { ours.URL(&page, r.url, r.kind) }, &a},
		{"urlfilter with the list, all URLs", requests, func(*request) {}, func(r *request) {
			theirs.Match(adguard.NewRequest(r.address, r.source, types[r.kind]))
		}, &b},
	})
	fmt.Printf("urlfilter takes %.1f times as long (medians)\n", b/a)
	return nil
}

func readRequests(name string) ([]request, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var requests []request
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s: a line has %d fields: %.80q", name, len(fields), lines.Text())
		}
		kind, ok := rules.ParseKind(fields[0])
		if !ok {
			return nil, fmt.Errorf("%s: no kind is called %q", name, fields[0])
		}
		requests = append(requests, request{kind, []byte(fields[1]), []byte(fields[2]), fields[2], fields[1]})
	}
	return requests, lines.Err()
}

// loaded tells how long it takes to load something, and what it keeps.
func loaded(what string, load func() error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	if err := load(); err != nil {
		log.Fatalf("%s: %v", what, err)
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Printf("%-40s loaded in %5.1f ms, keeps %5.1f MB\n", what, float64(took.Microseconds())/1000, float64(after.HeapAlloc-before.HeapAlloc)/1e6)
}

// contender is a matcher with the URLs that it meets.
type contender struct {
	name     string
	requests []request
	// visit goes to the page that a URL stands in. It is timed with the URL, but
	// what it allocates is not the URL's: golang.org/x/net/publicsuffix makes two
	// objects for each page of another site.
	visit  func(*request)
	match  func(*request)
	median *float64
}

// repeats is how often a URL is asked about between two looks at the clock,
// which takes longer than a match. askfirst remembers what it decided about a URL,
// as the pages of a site bear the same ones over and again: here most have been met
// before. What those take that were not, BenchmarkURL of rules tells.
const repeats = 8

// contest has the contenders meet their URLs in turn.
func contest(rounds int, contenders []contender) {
	times := make([][]float64, len(contenders))
	allocations := make([]uint64, len(contenders))
	for range rounds {
		for i := range contenders {
			c := &contenders[i]
			for j := range c.requests {
				r := &c.requests[j]
				start := time.Now()
				for range repeats {
					c.visit(r)
					c.match(r)
				}
				times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/repeats)
			}
			var start, visited, end runtime.MemStats
			runtime.ReadMemStats(&start)
			for j := range c.requests {
				c.visit(&c.requests[j])
			}
			runtime.ReadMemStats(&visited)
			for j := range c.requests {
				c.visit(&c.requests[j])
				c.match(&c.requests[j])
			}
			runtime.ReadMemStats(&end)
			allocations[i] += (end.Mallocs - visited.Mallocs) - min(visited.Mallocs-start.Mallocs, end.Mallocs-visited.Mallocs)
		}
	}
	for i, c := range contenders {
		slices.Sort(times[i])
		sum := 0.0
		for _, t := range times[i] {
			sum += t
		}
		*c.median = times[i][len(times[i])/2]
		fmt.Printf("%-44s %9.0f %9.0f %10.2f\n", c.name, *c.median, sum/float64(len(times[i])), float64(allocations[i])/float64(rounds*len(c.requests)))
	}
}
