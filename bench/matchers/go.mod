module github.com/askfirst/askfirst/bench/matchers

go 1.26.0

require (
	github.com/AdguardTeam/urlfilter v0.20.0
	github.com/askfirst/askfirst v0.0.0
)

require (
	github.com/AdguardTeam/golibs v0.29.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/miekg/dns v1.1.62 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/exp v0.0.0-20240909161429-701f63a606c0 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)

replace github.com/askfirst/askfirst => ../..
