package consent

import (
	"strings"
	"testing"
)

func TestTransferTo(t *testing.T) {
	for _, c := range []struct {
		country, stated string
		want            Transfer
	}{
		{"", "", NoTransfer}, {"", "scc", NoTransfer}, {"DE", "", NoTransfer}, {"NO", "scc", NoTransfer}, {"RE", "", NoTransfer},
		{"CH", "", Adequacy}, {"BR", "", Adequacy}, {"GB", "scc", Clauses},
		{"US", "", Unstated}, {"US", "dpf", Framework}, {"US", "scc", Clauses}, {"CN", "", Unstated},
		{"T ", "", Unstated}, {"us", "", Unstated}, {"gb", "", Adequacy}, {"de", "", NoTransfer},
	} {
		if got := TransferTo(c.country, c.stated); got != c.want {
			t.Errorf("%q, stated %q: %q, want %q", c.country, c.stated, got, c.want)
		}
	}
	if n := len(strings.Fields(EEA)); n != 30 {
		t.Errorf("%d countries in the EEA, of which there are 30", n)
	}
	for _, country := range strings.Fields(adequate) {
		if InEEA(country) {
			t.Errorf("%s is in the EEA and needs no decision", country)
		}
	}
}
