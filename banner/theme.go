package banner

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ThemeProperties are the custom properties that Options.Theme may set, without
// their prefix --askfirst-.
var ThemeProperties = [8]string{"accent", "ink", "paper", "radius", "font", "accent-dark", "ink-dark", "paper-dark"}

const themePrefix = "--askfirst-"

// themeCSS writes a theme as a rule for the element itself.
func themeCSS(theme map[string]string) (string, error) {
	if len(theme) == 0 {
		return "", nil
	}
	var errs []error
	var css strings.Builder
	css.WriteString(":host,:root{")
	for _, key := range slices.Sorted(maps.Keys(theme)) {
		name, value := strings.TrimPrefix(key, themePrefix), strings.TrimSpace(theme[key])
		if !slices.Contains(ThemeProperties[:], name) {
			errs = append(errs, &Fault{"theme." + key, fmt.Sprintf("no property is called %q; there are %s", key, strings.Join(ThemeProperties[:], ", "))})
		}
		if value == "" || strings.ContainsFunc(value, func(r rune) bool { return !isThemeRune(r) }) || strings.Contains(strings.ToLower(value), "url(") {
			errs = append(errs, &Fault{"theme." + key, fmt.Sprintf("%q is no colour, length or list of fonts, or has url() in it", value)})
		}
		css.WriteString(themePrefix + name + ":" + value + ";")
	}
	css.WriteString("}")
	if errs == nil {
		errs = append(errs, contrasts(theme, ""), contrasts(theme, "-dark"))
	}
	return css.String(), errors.Join(errs...)
}

// isThemeRune leaves out what could end a declaration, open a string or name a
// resource elsewhere.
func isThemeRune(r rune) bool {
	return isHostRune(r) || strings.ContainsRune(" #%(),+*_", r)
}
