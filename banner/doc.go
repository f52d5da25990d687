// Package banner asks the visitor and takes the answer: the banner and the
// placeholders that go into pages, the preferences page, the declaration of
// vendors and cookies, the visitor's own record, and the endpoints behind them.
// All of it works without a script; the guard (web/) makes it quicker.
//
// What goes into a page is rendered once for each language, state and regime,
// then spliced: AppendHead, AppendFoot and AppendPlaceholder do not allocate,
// and equal views give equal bytes. It is written in ASCII, with character
// references, so that it reads the same in a page of any encoding.
//
// In a page the banner is one element:
//
//	<askfirst-banner data-askfirst-state="ask|made">
//	  #shadow-root (open)
//	    .panel   the question, in a form; shown while the state is "ask",
//	             or while the element has the attribute data-askfirst-open
//	    .reopen  the reopen control; shown while the panel is not
//
// A script that takes the form over sets these two attributes and nothing else.
//
//	b, err := banner.New(banner.Options{Site: "Shop", Revision: 1}, engine, records, observer)
//	page = b.AppendFoot(page, &banner.View{Standing: standing, Return: uri}, lang)
//	…
//	if b.Owns(path) {
//		b.Serve(ctx, &banner.Visit{Standing: standing, Host: host})
//	}
package banner
