// Rewriters puts the package rewrite beside what else reads HTML as a stream in
// Go, over the same pages and on one processor, with the same rules.
//
//	cd bench/rewriters && go run . PAGE.html...
//	go run . -rounds 30 PAGE.html...
//
// The others ask the rules about the src of every element, the href of every
// link and the text of every script, rename what is held and write all else as
// it came; rewrite does all that VECTORS.md lists. The time is that of the
// processor, not of the clock; of several rounds, in which all take turns, the
// least counts for each page, and a figure is the sum of bytes by the sum of
// times. It is a module of its own, so that the proxy needs none of its
// dependencies.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/tdewolff/parse/v2"
	lexer "github.com/tdewolff/parse/v2/html"
	"golang.org/x/net/html"
	"golang.org/x/sys/unix"

	"github.com/askfirst/askfirst/rewrite"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 15, "how `often` each reads every page")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("name the pages to read")
	}
	engine := newEngine()
	var pages [][]byte
	total := 0
	for _, name := range flag.Args() {
		page, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		// The lexer wants room for one byte more.
		pages = append(pages, append(page, 0)[:len(page)])
		total += len(page)
	}
	o := &other{engine: engine}
	o.page.Reset(address)
	anew := &rewrite.Document{URL: address}
	contenders := []contender{
		{"rewrite, nothing granted", rewriter(&rewrite.Document{Rules: engine, URL: address}), nil},
		{"rewrite, all granted", rewriter(&rewrite.Document{Rules: engine, URL: address, Granted: consent.All}), nil},
		{"rewrite, scripts never met before", rewriter(anew), func() { anew.Rules = newEngine() }},
		{"tdewolff/parse, same rules", o.tdewolff, nil},
		{"tdewolff/parse alone", tdewolffAlone, nil},
		{"x/net/html, same rules", o.xnet, nil},
		{"x/net/html alone", xnetAlone, nil},
	}
	runtime.LockOSThread()
	best := make([][]time.Duration, len(contenders))
	for i := range best {
		best[i] = make([]time.Duration, len(pages))
	}
	for round := range *rounds {
		for i, c := range contenders {
			if c.before != nil {
				c.before()
			}
			for j, page := range pages {
				start := processorTime()
				c.read(page)
				if took := processorTime() - start; round == 0 || took < best[i][j] {
					best[i][j] = took
				}
			}
		}
	}
	sums := make([]time.Duration, len(contenders))
	for i := range best {
		for _, took := range best[i] {
			sums[i] += took
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d pages, %d KB\tMB/s\ttimes x/net/html alone\t\n", len(pages), total/1000)
	for i, c := range contenders {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t\n", c.name, float64(total)/sums[i].Seconds()/1e6, float64(sums[len(sums)-1])/float64(sums[i]))
	}
	w.Flush()
}

var address = []byte("https://shop.example/blog/post")

type contender struct {
	name   string
	read   func(page []byte)
	before func() // each round
}

func newEngine() *rules.Engine {
	engine, err := rules.New(rules.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return engine
}

// processorTime is what this thread has had of a processor.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		log.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func rewriter(doc *rewrite.Document) func([]byte) {
	return func(page []byte) {
		rw := rewrite.Acquire(io.Discard, doc)
		rw.Write(page)
		rw.Close()
		rewrite.Release(rw)
	}
}

// other is what the others have in common.
type other struct {
	engine *rules.Engine
	page   rules.Page
	out    []byte
}

// kinds are the elements whose src is asked about.
var kinds = map[string]rules.Kind{
	"script": rules.Script, "img": rules.Image, "iframe": rules.Frame, "source": rules.Media, "video": rules.Media,
	"audio": rules.Media, "embed": rules.Object, "input": rules.Image, "track": rules.Media, "link": rules.Hint,
}

// holds reports whether an attribute is to be renamed.
func (o *other) holds(element, attribute, value []byte) bool {
	kind, ok := kinds[string(element)]
	if !ok || string(attribute) != "src" && (kind != rules.Hint || string(attribute) != "href") {
		return false
	}
	d := o.engine.URL(&o.page, value, kind)
	return d.Category != consent.Unclassified && !d.Allowed(0)
}

const prefix = " data-askfirst-"

func (o *other) tdewolff(page []byte) {
	l := lexer.NewLexer(parse.NewInputBytes(page))
	o.out = o.out[:0]
	var element []byte
	for {
		token, data := l.Next()
		switch token {
		case lexer.ErrorToken:
			return
		case lexer.StartTagToken:
			element = l.Text()
		case lexer.AttributeToken:
			value := bytes.Trim(l.AttrVal(), `"'`)
			if o.holds(element, l.AttrKey(), value) {
				o.out = append(o.out, prefix...)
				data = bytes.TrimLeft(data, " \t\r\n\f/")
			}
		case lexer.TextToken:
			if string(element) == "script" {
				o.engine.Inline(&o.page, data)
			}
		case lexer.EndTagToken:
			element = nil
		}
		o.out = append(o.out, data...)
	}
}

func tdewolffAlone(page []byte) {
	l := lexer.NewLexer(parse.NewInputBytes(page))
	for {
		if token, _ := l.Next(); token == lexer.ErrorToken {
			return
		}
	}
}

func (o *other) xnet(page []byte) {
	z := html.NewTokenizer(bytes.NewReader(page))
	o.out = o.out[:0]
	inScript := false
	for {
		switch token := z.Next(); token {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := z.Raw()
			from := len(o.out)
			o.out = append(o.out, raw...)
			name, more := z.TagName()
			inScript = string(name) == "script"
			held := false
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				held = o.holds(name, key, value) || held
			}
			if held {
				o.out = append(o.out[:from], bytes.Replace(o.out[from:], []byte(" src="), []byte(prefix+"src="), 1)...)
			}
			continue
		case html.TextToken:
			raw := z.Raw()
			if inScript {
				o.engine.Inline(&o.page, raw)
			}
			o.out = append(o.out, raw...)
			continue
		case html.EndTagToken:
			inScript = false
		}
		o.out = append(o.out, z.Raw()...)
	}
}

func xnetAlone(page []byte) {
	z := html.NewTokenizer(bytes.NewReader(page))
	for z.Next() != html.ErrorToken {
		if _, more := z.TagName(); more {
			for more {
				_, _, more = z.TagAttr()
			}
		}
	}
}
