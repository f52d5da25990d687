package proxy

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.text.String()
	l.text.Reset()
	return s
}

// TestAccessLog compares lines of all forms, for answers that are passed on,
// refused and our own.
func TestAccessLog(t *testing.T) {
	request := get("/a?b=\"c\xff", "Referer: http://x/", "User-Agent: y\"\x80z")
	for form, want := range map[string]string{
		"common":   `^127\.0\.0\.0 - - \[[^]]+\] "GET /a\?b=\\"c\\xff HTTP/1\.1" 200 \d+\n$`,
		"combined": `^127\.0\.0\.0 - - \[[^]]+\] "GET /a\?b=\\"c\\xff HTTP/1\.1" 200 \d+ "http://x/" "y\\"\\x80z"\n$`,
		"json":     `"client":"127\.0\.0\.0","host":"shop\.example","method":"GET","target":"/a\?b=\\"c\\u00ff","status":200,"bytes":\d+,"seconds":0\.\d+,"referer":"http://x/","agent":"y\\"\\u0080z","id":"[0-9a-f]{32}"}\n$`,
	} {
		log := new(lines)
		s := newStage(t, always(t, ok), func(c *configs.Config) { c.AccessLog = form })
		s.proxy.o.Access = log
		p := s.dial()
		p.send(request).status()
		p.send(get("/_askfirst/none")).status() // the line before it is written by now
		p.send("GET /x HTTP/1.1\r\n\r\n").status()
		p.rest()
		all := strings.SplitAfter(log.take(), "\n")
		if len(all) != 4 || !regexp.MustCompile(want).MatchString(all[0]) || !strings.Contains(all[1], "404") || !strings.Contains(all[2], "400") {
			t.Errorf("%s: %q", form, all)
		}
		if form == "json" {
			for _, line := range all[:len(all)-1] {
				if !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %q", line)
				}
			}
		}
	}
}
