package proxy

import (
	"context"

	"github.com/askfirst/askfirst/rules"
)

// resolver is what is known of the sites' own hosts from a DNS server, which is asked
// in the background. Its zero value knows nothing and asks nobody.
type resolver struct {
	server  string
	aliases *rules.Aliases
	stop    context.CancelFunc
}

// newResolver starts to ask the server, which may be none; it goes on with before
// where that asks the same one.
func newResolver(server string, before resolver) (resolver, error) {
	if server == before.server {
		return before, nil
	}
	if server == "" {
		return resolver{}, nil
	}
	ctx, stop := context.WithCancel(context.Background())
	aliases, err := rules.NewAliases(ctx, server)
	if err != nil {
		stop()
		return resolver{}, err
	}
	return resolver{server, aliases, stop}, nil
}

// close stops asking, unless it is what goes on in kept.
func (r resolver) close(kept resolver) {
	if r.stop != nil && r.aliases != kept.aliases {
		r.stop()
	}
}
