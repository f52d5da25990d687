package banner

import "errors"

// Fault is one thing that is wrong in Options.
type Fault struct {
	// At is the setting below the banner's, such as theme.accent or
	// texts.de.title.
	At string
	// Problem is what is wrong with it.
	Problem string
}

func (f *Fault) Error() string { return "banner: " + f.At + ": " + f.Problem }

// Check returns what is wrong in a site's texts and theme. It is what New would
// refuse too.
func Check(o Options) []*Fault {
	_, textErr := newLanguages(o.Language, o.Texts)
	_, themeErr := themeCSS(o.Theme)
	return faults(errors.Join(textErr, themeErr), nil)
}

// faults gathers those that are joined in an error.
func faults(err error, found []*Fault) []*Fault {
	switch e := err.(type) {
	case *Fault:
		found = append(found, e)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			found = faults(inner, found)
		}
	}
	return found
}
