// Package rewrite holds the tags of an HTML page. It reads the page as a
// stream of bytes, asks the rules about everything by which the page could
// reach a third party or store on the device, makes inert what the visitor has
// not agreed to, and copies all else byte for byte.
//
//	rw := rewrite.Acquire(out, &rewrite.Document{Rules: engine, URL: url, Granted: granted})
//	defer rewrite.Release(rw)
//	io.Copy(rw, page)
//	err := rw.Close()
package rewrite
