module github.com/askfirst/askfirst/bench/rewriters

go 1.26.0

replace github.com/askfirst/askfirst => ../..

require (
	github.com/askfirst/askfirst v0.0.0-00010101000000-000000000000
	github.com/tdewolff/parse/v2 v2.8.20
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.50.0
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
