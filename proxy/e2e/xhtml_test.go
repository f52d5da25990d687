package e2e

import (
	"net/http"
	"testing"
)

// TestXHTML checks that a page of XHTML asks, contacts nobody before, and is released
// by the answer.
func TestXHTML(t *testing.T) {
	s := raise(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xhtml+xml")
		w.Write([]byte(`<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html [<!ENTITY nbsp "&#160;">]>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><title>XHTML</title>
<script async="" src="https://www.googletagmanager.com/gtag/js?id=G-1"></script></head>
<body><p>a&nbsp;&lt;&nbsp;b</p><img src="https://www.facebook.com/tr?id=1&amp;ev=PageView" alt=""/>
<iframe width="300" height="200" src="https://www.youtube.com/embed/x" title="a &lt; b"></iframe></body></html>`))
	}))
	v := visit(t, s)
	v.open("/")
	v.settle()
	if v.sees(acceptAll) != 1 {
		t.Fatal("the banner cannot be seen")
	}
	v.nobodyWasContacted(s)
	v.click(acceptAll)
	v.chosen()
	v.until(`!document.querySelector("[data-askfirst-src]")`)
	v.settle()
	if len(v.foreign()) < 3 {
		t.Errorf("released: %q", v.foreign())
	}
	v.nothingThrew()
}
