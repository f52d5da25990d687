package admin

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/askfirst/askfirst/banner/web"
)

// The bundles are committed; what they are made of takes npm ci in web.
func TestBundlesAreFresh(t *testing.T) {
	if _, err := os.Stat("web/node_modules/uplot"); err != nil {
		if os.Getenv("ASKFIRST_NODE") == "required" {
			t.Fatal("npm ci was not run in proxy/admin/web, and ASKFIRST_NODE=required")
		}
		t.Skip("npm ci was not run in proxy/admin/web: the chart library is not there to be bundled")
	}
	dir, err := filepath.Abs("web")
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"admin.ts": "admin.js", "admin.css": "admin.css"} {
		want, err := web.Bundle(dir, from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("dist/" + to)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what web/%s bundles to: run go generate ./proxy/admin", to, from)
		}
	}
}
