package rules

import (
	"bytes"
	"os"
	"runtime"
	"testing"

	"github.com/askfirst/askfirst/rules/consent"
)

// loadedList reads the Adblock Plus list that ASKFIRST_LIST names; none is part
// of this project.
func loadedList(b *testing.B) List {
	name := os.Getenv("ASKFIRST_LIST")
	if name == "" {
		b.Skip("ASKFIRST_LIST names no list")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return List{Name: "list.txt", Format: FormatABP, Category: consent.Marketing, Text: text}
}

// loadedURLs reads the URLs that ASKFIRST_URLS names, one a line.
func loadedURLs(b *testing.B) [][]byte {
	name := os.Getenv("ASKFIRST_URLS")
	if name == "" {
		return pageURLs(b)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

func BenchmarkListURL(b *testing.B) {
	e := newEngine(b, Options{Lists: []List{loadedList(b)}})
	urls := loadedURLs(b)
	p := newPage("https://www.shop.example/blog/post.html")
	b.ReportAllocs()
	i, matched := 0, 0
	for b.Loop() {
		if e.URL(p, urls[i%len(urls)], Script).Rule != nil {
			matched++
		}
		i++
	}
	b.ReportMetric(100*float64(matched)/float64(i), "%matched")
}

// BenchmarkListNew reports the time to load a list, and what stays in memory.
func BenchmarkListNew(b *testing.B) {
	l := loadedList(b)
	var e *Engine
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		t := &listTable{}
		if err := t.add(&l); err != nil {
			b.Fatal(err)
		}
		t.build()
		e = &Engine{lists: *t}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
	b.ReportMetric(float64(e.lists.summaries[0].Rules), "rules")
	b.Logf("ignored: %v; %d unindexed, %d literals, %d pages", e.lists.summaries[0].Ignored, len(e.lists.unindexed), len(e.lists.byLiteral), len(e.lists.byPage))
}
