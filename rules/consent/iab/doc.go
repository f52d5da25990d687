// Package iab writes a choice in the words of the IAB's frameworks: TC strings of
// the Transparency and Consent Framework 2.3, and the sections of the Global
// Privacy Platform for the United States. It writes and does not read: what
// other software says of a visitor is not believed.
//
//	list, err := iab.ParseVendorList(text)
//	tcf := &iab.TCF{CMP: 10, CMPVersion: 1, Country: "DE", Language: "de", List: list}
//	cookie := tcf.String(&choice)
package iab
