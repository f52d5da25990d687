package proxy

import (
	"strings"
	"testing"
)

func TestPass(t *testing.T) {
	s := newStage(t, always(t, ok))
	p := s.dial()
	for range 3 {
		r := p.send(get("/a")).answer("GET")
		if body := readAll(t, r.Body); r.StatusCode != 200 || body != "ok" {
			t.Fatalf("%d %q", r.StatusCode, body)
		}
	}
}

func TestPage(t *testing.T) {
	s := newStage(t, always(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 52\r\n\r\n<html><head><title>x</title></head><body>hi</body>  "))
	for range 4 {
		r := s.dial().send(get("/a", "Accept-Encoding: identity")).answer("GET")
		body := readAll(t, r.Body)
		if !strings.Contains(body, "hi") {
			t.Fatalf("%d %q", r.StatusCode, body)
		}
		t.Logf("%v\n%.300s", r.Header, body)
	}
}
