package proxy

// redirects reports whether browsers go on to another address rather than show the
// answer (Fetch, section 2.2.6).
func (x *exchange) redirects() bool {
	switch x.answer.status {
	case 301, 302, 303, 307, 308:
		return len(x.answer.get(nameLocation)) > 0
	}
	return false
}
