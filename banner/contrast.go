package banner

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// colour is red, green and blue from 0 to 1, in sRGB.
type colour [3]float64

// parseColour reads #rgb and #rrggbb. Other colours are the browser's to work
// out.
func parseColour(s string) (c colour, ok bool) {
	if len(s) == 4 {
		s = string([]byte{s[0], s[1], s[1], s[2], s[2], s[3], s[3]})
	}
	if len(s) != 7 || s[0] != '#' {
		return c, false
	}
	for i := range c {
		n, err := strconv.ParseUint(s[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return c, false
		}
		c[i] = float64(n) / 255
	}
	return c, true
}

// over mixes c into paper, as color-mix(in srgb) does.
func (c colour) over(paper colour, share float64) colour {
	for i := range c {
		c[i] = c[i]*share + paper[i]*(1-share)
	}
	return c
}

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	var linear colour
	for i, v := range c {
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// leastContrast is what text needs (WCAG 2.2, 1.4.3).
const leastContrast = 4.5

// themeDefaults are the colours of templates/tokens.css.
var themeDefaults = map[string]string{
	"ink": "#1c2733", "paper": "#fff", "accent": "#1a4f86",
	"ink-dark": "#e9eef4", "paper-dark": "#161b22", "accent-dark": "#9dc5f5",
}

// contrasts refuses a theme in whose light or dark (suffix -dark) mode some text
// cannot be read well. Shares are those of templates/tokens.css.
func contrasts(theme map[string]string, suffix string) error {
	var said []string // which of the theme's own colours there are
	get := func(name string) (colour, bool) {
		for _, key := range []string{name + suffix, themePrefix + name + suffix} {
			if value, set := theme[key]; set {
				said = append(said, key)
				return parseColour(value)
			}
		}
		return parseColour(themeDefaults[name+suffix])
	}
	ink, inkKnown := get("ink")
	paper, paperKnown := get("paper")
	accent, accentKnown := get("accent")
	if len(said) == 0 || !inkKnown || !paperKnown || !accentKnown {
		return nil
	}
	var errs []error
	for _, pair := range []struct {
		what       string
		text, back colour
	}{
		{"text (ink" + suffix + " on paper" + suffix + ")", ink.over(paper, 0.78), paper},
		{"buttons (accent" + suffix + " on paper" + suffix + ")", accent, accent.over(paper, 0.16)},
	} {
		if got := contrast(pair.text, pair.back); got < leastContrast {
			errs = append(errs, &Fault{"theme." + said[len(said)-1], fmt.Sprintf("%s has a contrast of %.2f, less than %v: WCAG 2.2, 1.4.3", pair.what, got, leastContrast)})
		}
	}
	return errors.Join(errs...)
}
