package rules

import "github.com/askfirst/askfirst/rules/consent"

// Vendor is one entry of the catalogue: a company's tag or service.
type Vendor struct {
	ID      string
	Name    string
	Company string
	Country string // ISO 3166-1 alpha-2 of the company's seat
	Policy  string // address of the privacy policy
	// Category is Unclassified of one whose domains anybody may keep files on: whose
	// they are is known, not what for.
	Category consent.Category
	IAB      uint16 // IAB Global Vendor List ID, 0 for none

	// Domains are the vendor's own: each stands for itself and every
	// subdomain, whatever the path.
	Domains []string
	// URLs are patterns: host/path?key=value. See ParsePattern.
	URLs []string
	// Inline are signatures of inline scripts. All tokens of one signature
	// must occur for it to match.
	Inline [][]string
	// Inlined marks a vendor whose whole program is written into pages. Of other
	// vendors that is a snippet: a script that has a signature of theirs, but is
	// longer than 16 KiB, or changes the page or answers to its user in three
	// places or more, is a program of the site's, which stays, and of which what
	// it loads and keeps is held by itself.
	Inlined bool
	// Marks are what the vendor's widgets look like in HTML: .class, #id,
	// element, [attribute] or [attribute^=value].
	Marks []string
	// Calls are the tag's functions that sites call by name in code of their own:
	// a global, or a method of one, as "fbq" and "_gaq.push".
	Calls []string
	// Cookies and Storage are what the vendor keeps in the browser.
	Cookies []Cookie
	Storage []Cookie

	// ConsentMode reports whether the tag heeds Google Consent Mode v2.
	ConsentMode bool
	// Container marks a tag manager: it loads tags of any category, each of
	// which is held by itself, and is released with the first category.
	Container bool
	// Reload marks a tag that does nothing good once the page has been seen,
	// such as one that shows another version of it: where the visitor agrees to
	// it the page is loaded anew.
	Reload bool
	// Widget says what a visitor misses while the tag is held, and so what its
	// placeholder says: video, map, comments, social, chat, form, signin,
	// captcha, audio or embed. Empty for what cannot be seen.
	Widget string
}

// Cookie is a cookie or storage key that a vendor sets.
type Cookie struct {
	// Name is exact, or a prefix if it ends in "*".
	Name    string
	Purpose string
	// Retention is a number and a unit (s m h d mo y), "session" or
	// "persistent".
	Retention string
	// Party is "first" or "third".
	Party    string
	HTTPOnly bool
}
