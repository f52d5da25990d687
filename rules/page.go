package rules

// Page is the document in which references are read. It holds scratch memory
// and must not be used by two goroutines at once. The zero Page is ready for
// Reset.
type Page struct{}

// Reset starts a page at the given absolute address.
func (p *Page) Reset(url []byte) {}

// SetBase takes the href of the page's first <base>.
func (p *Page) SetBase(href []byte) {}
