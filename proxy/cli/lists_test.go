package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

func TestListsUpdate(t *testing.T) {
	answer := "! a list\n||tracker.example^\ntracker.example##.x\n"
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(answer))
	}))
	defer server.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "askfirst.yml")
	data := filepath.Join(dir, "data")
	text := fmt.Sprintf("data: %q\nsites:\n  - name: shop\n    hosts: [\"*\"]\n    upstream: http://127.0.0.1:1\n    policy_url: /privacy\n    lists:\n      - {url: %q}\n      - {url: %q, file: own.txt}\n",
		data, server.URL+"/easy.txt", server.URL+"/x.txt")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(config); err == nil || !strings.Contains(err.Error(), "askfirst lists update") {
		t.Errorf("a list that was not fetched yet: %v", err)
	}
	var out, errs bytes.Buffer
	if code := Run([]string{"lists", "update", "--config", config}, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, name := range []string{filepath.Join(data, "lists", "easy.txt"), filepath.Join(dir, "own.txt")} {
		if !strings.Contains(out.String(), name+": 1 rules; ignored: 1 cosmetic rule") {
			t.Errorf("%s is not told in %q", name, out.String())
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != answer {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	out.Reset()
	if code := Run([]string{"check", "--config", config}, &out, &errs); code != exitOK || strings.Count(out.String(), ": 1 rules; ignored: 1 cosmetic rule\n") != 2 {
		t.Errorf("check: exit %d, %q: %s", code, out.String(), errs.String())
	}
	// What is no list does not take the place of one.
	for _, c := range []struct {
		status int
		answer string
	}{{http.StatusNotFound, "||other.example^"}, {http.StatusOK, ""}, {http.StatusOK, "! nothing\n"}} {
		status, answer = c.status, c.answer
		if code := Run([]string{"lists", "update", "--config", config}, &out, &errs); code != exitFailed {
			t.Errorf("%d %q: exit %d", c.status, c.answer, code)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "own.txt")); !strings.Contains(string(got), "tracker.example") {
			t.Errorf("%d %q: the list is %q", c.status, c.answer, got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".list-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestListsBeforeTheFirstStart leave the folder of records to its owner.
func TestListsBeforeTheFirstStart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "||tracker.example^\n") }))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	config, data := filepath.Join(dir, "askfirst.yml"), filepath.Join(dir, "data")
	text := fmt.Sprintf("data: %q\nsites:\n  - {name: shop, hosts: ['*'], upstream: 'http://127.0.0.1:1', policy_url: /privacy, lists: [{url: %q}]}\n", data, server.URL+"/easy.txt")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := Run([]string{"lists", "update", "--config", config}, &out, &errs); code != exitOK {
		t.Fatalf("%d %s", code, errs.String())
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
