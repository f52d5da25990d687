package configs

import (
	"fmt"
	"net/url"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Tracing is where spans of requests are sent. Its zero value sends none.
type Tracing struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP in JSON,
	// such as http://127.0.0.1:4318/v1/traces; empty for none.
	Endpoint string
	// Sample is the share of requests that are traced, from 0 to 1. What a
	// trusted proxy says in traceparent goes before it.
	Sample float64
}

func (r *reader) tracing(n *yaml.Node, at string, t *Tracing) {
	t.Sample = 0.01
	r.mapping(n, at, fields{
		"endpoint": func(n *yaml.Node, at string) {
			r.text(n, at, &t.Endpoint)
			if u, err := url.Parse(t.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				r.refuse(n, at, fmt.Sprintf("%q is not an http or https URL", t.Endpoint), "write where the collector takes traces, such as http://127.0.0.1:4318/v1/traces")
			}
		},
		"sample": func(n *yaml.Node, at string) {
			share, err := strconv.ParseFloat(resolve(n).Value, 64)
			if err != nil || !(share >= 0 && share <= 1) {
				r.refuse(n, at, fmt.Sprintf("%q is not a share from 0 to 1", resolve(n).Value), "write 0.01 for one request in a hundred")
				return
			}
			t.Sample = share
		},
	})
	if t.Endpoint == "" && !r.refusedUnder(at) {
		r.refuse(n, at+".endpoint", "is missing", "write where the collector takes traces, such as http://127.0.0.1:4318/v1/traces")
	}
}
