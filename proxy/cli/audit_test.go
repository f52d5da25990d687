package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOptionsAfterOperands: options count wherever they stand, up to --.
func TestOptionsAfterOperands(t *testing.T) {
	const analytics = "https://www.google-analytics.com/g/collect"
	expect(t, exitOK, "explain "+analytics+" --kind image", "category  analytics")
	expect(t, exitUsage, "explain "+analytics+" --kind nothing", `--kind is "nothing"`)
	expect(t, exitUsage, "explain "+analytics+" --kin image", "not defined: -kin")
	expect(t, exitUsage, "explain "+analytics+" "+analytics+" --kind image", "one argument too many")
	expect(t, exitUsage, "explain -- --kind", `"--kind" is neither a file here nor an address`)
}

func TestAuditOfFiles(t *testing.T) {
	dir := t.TempDir()
	page := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	tagged := page("tagged.html", `<script src="https://www.google-analytics.com/analytics.js"></script>`)
	bare := page("bare.html", `<p>Nothing</p>`)
	expect(t, exitOK, "audit "+tagged+" --json", `"vendor": "Google Analytics"`)
	expect(t, exitGate, "audit "+bare+" "+tagged+" --fail-on analytics", bare+"\n  no tag\n", "Google Analytics")
	expect(t, exitOK, "audit "+bare+" --json", "[]")
	expect(t, exitUsage, "audit shop.example/", "no file shop.example/", "https://")
}
