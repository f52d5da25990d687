package configs

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Alerts are what is told at once, and to whom beside the log.
type Alerts struct {
	// Webhook is where alerts are posted; empty for the log alone.
	Webhook string
	// Secret signs what is posted: whsec_ and base64, or any text.
	Secret string
	// On are the kinds that are told; empty for all.
	On []AlertKind
}

// AlertKind is what an alert is about.
type AlertKind string

// The kinds of alerts.
const (
	// AlertNewVendor is a vendor that a site's pages did not have before.
	AlertNewVendor AlertKind = "new-vendor"
	// AlertUnclassified is a third party that no rule knows.
	AlertUnclassified AlertKind = "unclassified"
	// AlertFiredAnyway is a tag that fired without consent.
	AlertFiredAnyway AlertKind = "fired-anyway"
	// AlertReceiptsFailing are receipts of choices that could not be written.
	AlertReceiptsFailing AlertKind = "receipts-failing"
)

func (r *reader) alerts(n *yaml.Node, at string, a *Alerts) {
	r.mapping(n, at, fields{
		"webhook": func(n *yaml.Node, at string) {
			r.text(n, at, &a.Webhook)
			u, err := url.Parse(a.Webhook)
			if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Host)) {
				r.refuse(n, at, fmt.Sprintf("%q is no https address", a.Webhook), "alerts leave this machine encrypted: write https://hooks.example/askfirst")
			}
		},
		"secret": func(n *yaml.Node, at string) {
			r.text(n, at, &a.Secret)
			if key, ok := strings.CutPrefix(a.Secret, "whsec_"); ok {
				if _, err := base64.StdEncoding.DecodeString(key); err != nil {
					r.refuse(n, at, "is not base64 after whsec_", "")
				}
			}
		},
		"on": func(n *yaml.Node, at string) {
			for _, kind := range r.list(n, at) {
				if !slices.Contains(alertKinds, AlertKind(kind)) {
					r.refuse(n, at, fmt.Sprintf("%q is no kind of alert", kind), fmt.Sprintf("what can stand here: %v", alertKinds))
				}
				a.On = append(a.On, AlertKind(kind))
			}
		},
	})
	if a.Webhook != "" && a.Secret == "" && !r.refused(at+".secret") {
		r.refuse(n, at+".secret", "is missing", "what is posted is signed with it, so that the receiver can tell our word from another's")
	}
}

var alertKinds = []AlertKind{AlertNewVendor, AlertUnclassified, AlertFiredAnyway, AlertReceiptsFailing}
