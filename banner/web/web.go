// Package web holds the sources of what askfirst runs in the page: the guard,
// which is the banner's script too, in TypeScript under guard/. It is bundled
// into ../dist/guard.js, which is committed, so that building askfirst needs
// neither Node.js nor npm:
//
//	go generate ./banner/web
//
// The product does not import this package: it links the bundler, for the
// generator and for tests that bundle.
package web

//go:generate go run ./bundle ../dist/guard.js
//go:generate go run ./bundle ../dist/iab.js guard/iab.ts
//go:generate go run ./bundle ../dist/boxes.js guard/boxes.ts
//go:generate go run ./bundle ../dist/worker.js guard/worker.ts

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/js"
)

// Guard is the entry point of the guard, relative to this folder.
const Guard = "guard/main.ts"

// IAB is that of the IAB's interfaces, which follow the guard where a site has
// switched them on.
const IAB = "guard/iab.ts"

// Boxes is that of the boxes in what scripts make, a module which the guard asks
// for where it holds something.
const Boxes = "guard/boxes.ts"

// Worker is that of the guard of workers, which comes first in their scripts.
const Worker = "guard/worker.ts"

// Bundle returns an entry point and all that it imports as one script. dir is
// the folder of this package, which entry is relative to. What esbuild makes is
// gone over twice more: tdewolff/minify chooses names that compress better, by
// 300 bytes of the 12 KiB that a page may wait for.
func Bundle(dir, entry string) ([]byte, error) { return build(dir, entry, api.PlatformBrowser) }

func build(dir, entry string, platform api.Platform) ([]byte, error) {
	browser := platform == api.PlatformBrowser
	format := api.FormatESModule
	if browser && entry != Boxes {
		format = api.FormatIIFE
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:     dir,
		EntryPoints:       []string{entry},
		Bundle:            true,
		Platform:          platform,
		Format:            format,
		Target:            api.ES2021,
		Charset:           api.CharsetASCII,
		LegalComments:     api.LegalCommentsNone,
		MinifyWhitespace:  browser,
		MinifyIdentifiers: browser,
		MinifySyntax:      browser,
		LogLevel:          api.LogLevelSilent,
	})
	var mistakes []error
	for _, m := range append(result.Errors, result.Warnings...) {
		at := entry
		if m.Location != nil {
			at = fmt.Sprintf("%s:%d:%d", m.Location.File, m.Location.Line, m.Location.Column)
		}
		mistakes = append(mistakes, fmt.Errorf("%s: %s", at, m.Text))
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("web: bundle: %w", errors.Join(mistakes...))
	}
	script := result.OutputFiles[0].Contents
	if !browser || strings.HasSuffix(entry, ".css") {
		return script, nil
	}
	for range 2 {
		var small bytes.Buffer
		if err := (&js.Minifier{}).Minify(minify.New(), &small, bytes.NewReader(script), nil); err != nil {
			return nil, fmt.Errorf("web: minify: %w", err)
		}
		script = small.Bytes()
	}
	return script, nil
}
