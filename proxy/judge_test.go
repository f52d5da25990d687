package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/askfirst/askfirst/configs"
)

// What a banner could not be read by, or would not ask fairly with, is refused
// with its line.
func TestJudgeFindsTheBannersFaults(t *testing.T) {
	const text = `sites:
  - name: shop
    hosts: ["*"]
    upstream: http://127.0.0.1:3000
    policy_url: /privacy
    banner:
      language: tlh
      theme:
        accent: "#9aa4b0"
        --askfirst-ink-dark: "#333"
        font: url(https://fonts.example/a)
        shadow: none
      texts:
        de:
          titel: Hallo
          reject_all: Alle akzeptieren
          intro: "Hallo {visitor}"
        fr:
          accept_all: OK
          reject_all: Je ne souhaite pas accepter ces services pour le moment
          box_text: "Contenu de {vendor}"
        tlh:
          title: qaStaH nuq
`
	file := filepath.Join(t.TempDir(), "askfirst.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(file); err != nil {
		t.Fatalf("without a judge: %v", err)
	}
	_, err := configs.Load(file, Judge)
	if err == nil {
		t.Fatal("nothing was found")
	}
	got := strings.ReplaceAll(err.Error(), file, "F")
	for _, want := range []string{
		`F:11: sites[0].banner.theme.font: "url(https://fonts.example/a)" is no colour`,
		`F:12: sites[0].banner.theme.shadow: no property is called "shadow"`,
		`F:15: sites[0].banner.texts.de.titel: no text is called "titel"`,
		`F:16: sites[0].banner.texts.de.reject_all: reads as accept_all does: EDPB`,
		`F:17: sites[0].banner.texts.de.intro: {visitor} cannot be filled in here`,
		`F:20: sites[0].banner.texts.fr.reject_all: accepting and refusing are to be read with equal ease: EDPB`,
		`F:21: sites[0].banner.texts.fr.box_text: {company} is missing`,
		`F:23: sites[0].banner.texts.tlh: the text "accept_all" is missing or empty`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%.3000s", want, got)
		}
	}
	colours := strings.NewReplacer("        font: url(https://fonts.example/a)\n", "", "        shadow: none\n", "").Replace(text[:strings.Index(text, "      texts:")])
	if err := os.WriteFile(file, []byte(colours), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = configs.Load(file, Judge)
	got = strings.ReplaceAll(err.Error(), file, "F")
	for _, want := range []string{
		`F:7: sites[0].banner.language: there are no texts in "tlh"`,
		`F:9: sites[0].banner.theme.accent: buttons (accent on paper) has a contrast of`,
		`F:10: sites[0].banner.theme.--askfirst-ink-dark: text (ink-dark on paper-dark) has a contrast of`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
}

// The example file passes the judge too.
func TestJudgeTakesTheExample(t *testing.T) {
	if _, err := configs.Load("../configs/askfirst.yml", Judge); err != nil {
		t.Error(err)
	}
}

// A statement on transfers is refused where it cannot be meant.
func TestJudgeFindsImpossibleTransfers(t *testing.T) {
	found := Judge(&configs.Site{Transfers: map[string]string{"google-analytics": "dpf", "mixpanel": "scc", "nobody": "scc", "matomo": "dpf"}})
	var list []string
	for _, f := range found {
		if strings.HasPrefix(f.At, "transfers.") {
			list = append(list, f.At+" "+f.Problem)
		}
	}
	want := "transfers.matomo the EU-US Data Privacy Framework is for companies of the United States, transfers.nobody no vendor has this id"
	if got := strings.Join(list, ", "); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}
