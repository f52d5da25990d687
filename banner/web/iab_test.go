package web

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/askfirst/askfirst/rules/consent"
	"github.com/askfirst/askfirst/rules/consent/iab"
)

func vendorList(t testing.TB) *iab.VendorList {
	t.Helper()
	text, err := os.ReadFile("../../rules/consent/iab/testdata/vendor-list.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := iab.ParseVendorList(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestIABDecodersAgree has the IAB's own decoders read what package iab writes:
// every choice as a TC string, every section of the GPP.
func TestIABDecodersAgree(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		skipNode(t, "no Node.js on this machine: TC and GPP strings are not held against the IAB's decoders")
	}
	if _, err := os.Stat("node_modules/@iabtcf/core"); err != nil {
		skipNode(t, "no IAB decoders here: run npm ci in banner/web")
	}
	type tcString struct {
		Text       string   `json:"text"`
		Categories []string `json:"categories"`
	}
	type gppString struct {
		Name   string `json:"name"`
		OptOut bool   `json:"optOut"`
		GPC    bool   `json:"gpc"`
		MSPA   string `json:"mspa"`
		iab.Section
	}
	var given struct {
		List json.RawMessage `json:"list"`
		TC   []tcString      `json:"tc"`
		GPP  []gppString     `json:"gpp"`
		None string          `json:"none"`
	}
	given.None = iab.NoSections
	given.List, _ = os.ReadFile("../../rules/consent/iab/testdata/vendor-list.json")
	tcf := &iab.TCF{CMP: 31, CMPVersion: 2, Country: "AT", Language: "de", List: vendorList(t)}
	at := time.Date(2026, 11, 25, 18, 30, 0, 0, time.UTC)
	for letters := range 16 {
		var set consent.Set
		names := []string{}
		for i, c := range consent.Optional {
			if letters>>i&1 != 0 {
				set = set.With(c)
				names = append(names, c.String())
			}
		}
		given.TC = append(given.TC, tcString{tcf.String(&consent.Choice{Categories: set, At: at}), names})
	}
	for _, name := range iab.Sections() {
		for _, mspa := range []iab.MSPA{iab.NoMSPA, iab.OptOutMode, iab.ServiceProvider} {
			g := &iab.GPP{Sections: []string{name}, MSPA: mspa}
			for _, optOut := range []bool{false, true} {
				for _, gpc := range []bool{false, true} {
					granted := consent.All
					if optOut {
						granted = granted.Without(consent.Marketing)
					}
					given.GPP = append(given.GPP, gppString{name, optOut, gpc, string(mspa), g.Section(name, granted, gpc)})
				}
			}
		}
	}
	dir := t.TempDir()
	script, err := build(workingDir(t), "test/iab.test.ts", api.PlatformNode)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	entry, vectors := filepath.Join(dir, "iab.test.mjs"), filepath.Join(dir, "strings.json")
	for file, content := range map[string][]byte{entry: script, vectors: data} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(node, "--test", entry)
	cmd.Env = append(os.Environ(), "ASKFIRST_STRINGS="+vectors)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
