// Package consent is the visitor's choice: the categories that it is made of,
// the cookie that carries it, the regime that it is made under and the receipt
// that proves it. It imports nothing of askfirst, so that all of askfirst can
// speak of a choice without taking on more.
//
//	choice, ok := consent.ParseCookie(value, time.Now(), revision, consent.DefaultMaxAge)
//	if ok && choice.Categories.Has(consent.Analytics) { … }
package consent
