package cli

import (
	"github.com/askfirst/askfirst/banner"
	"github.com/askfirst/askfirst/proxy/audit"
)

// observer writes down what the guard reports.
type observer struct{ store *audit.Store }

func (o observer) Report(site string, r *banner.Report) {}

func (o observer) Seen(site string) []string { return nil }

// counter writes down what the proxy sees and does.
type counter struct{ store *audit.Store }
