package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/proxy/demo"
)

// serveOrigin serves the pages and files that everything is measured on.
func serveOrigin(listen string) error {
	pages := map[string][]byte{}
	for name, size := range map[string]int{"20k": 20 << 10, "120k": 120 << 10, "1m": 1 << 20} {
		pages[name] = page(size)
	}
	json := []byte(`{"items":["` + strings.Repeat("x", 1000) + `"]}`)
	file := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	var fresh atomic.Int64
	server := fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		kind, name, _ := strings.Cut(strings.TrimPrefix(string(ctx.Path()), "/"), "/")
		switch kind {
		case "page":
			ctx.SetContentType("text/html; charset=utf-8")
			ctx.Response.SetBodyRaw(pages[name])
		case "fresh":
			ctx.SetContentType("text/html; charset=utf-8")
			ctx.Write(pages[name])
			ctx.WriteString("<!-- " + strconv.FormatInt(fresh.Add(1), 10) + " -->")
		case "json":
			ctx.SetContentType("application/json")
			ctx.Response.SetBodyRaw(json)
		case "file":
			ctx.SetContentType("application/octet-stream")
			ctx.Response.SetBodyRaw(file)
		default:
			ctx.SetStatusCode(fasthttp.StatusNotFound)
		}
	}}
	return server.ListenAndServe(listen)
}

// page makes a page of about size bytes: the demo's journal with its tags, and
// as much text and markup between them as it takes.
func page(size int) []byte {
	w := httptest.NewRecorder()
	demo.NewSite(func(host string) string { return "https://" + host }).ServeHTTP(w, httptest.NewRequest("GET", "/blog", nil))
	head, foot, _ := bytes.Cut(w.Body.Bytes(), []byte("<h2>Comments</h2>"))
	var b bytes.Buffer
	b.Write(head)
	for i := 0; b.Len()+len(foot) < size; i++ {
		fmt.Fprintf(&b, `<section class="teaser teaser-%[1]d" id="s%[1]d"><h3><a href="/journal/%[1]d?from=list">What we learnt in winter %[1]d</a></h3>`+
			`<p>Spokes are tuned by ear, <em>one after the other</em>, until the wheel hums a single note; what hums in November still hums in March.</p>`+
			`<img src="/images/%[1]d.jpg" srcset="/images/%[1]d-2x.jpg 2x" width="320" height="200" alt="A wheel, close up" loading="lazy"></section>`+"\n", i)
		if i%12 == 0 {
			fmt.Fprintf(&b, `<script async src="https://www.googletagmanager.com/gtag/js?id=G-DEMO%d"></script><img src="https://www.facebook.com/tr?id=%d" width=1 height=1 alt="">`, i, i)
		}
	}
	b.WriteString("<h2>Comments</h2>")
	b.Write(foot)
	return b.Bytes()
}

// serveBare is a reverse proxy as fasthttp's examples show it.
func serveBare(listen, origin string) error {
	client := fasthttp.HostClient{Addr: origin, MaxConns: 4096}
	server := fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Request.Header.Del("Connection")
		if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
			ctx.SetStatusCode(fasthttp.StatusBadGateway)
		}
		ctx.Response.Header.Del("Connection")
	}}
	return server.ListenAndServe(listen)
}
