package cli

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/askfirst/askfirst"

// arrows says which packages of ours each package may import. What is not
// listed may import none; tests and programs of their own are left out.
var arrows = map[string]string{
	".":             "proxy/cli",
	"proxy/cli":     "proxy proxy/admin proxy/alert proxy/audit proxy/demo configs banner rewrite rules rules/consent",
	"proxy":         "configs banner rewrite rules rules/consent",
	"proxy/admin":   "proxy/audit configs rules rules/consent",
	"proxy/alert":   "proxy/audit configs",
	"proxy/audit":   "rules/consent",
	"proxy/demo":    "rules",
	"configs":       "rules rules/consent",
	"banner":        "rules rules/consent",
	"rewrite":       "rewrite/scan rules rules/consent",
	"rules":         "rules/consent",
	"rules/consent": "",
	"rewrite/scan":  "",
}

func TestArrowsPointDown(t *testing.T) {
	const root = "../.."
	checked := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".git") || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, filepath.Dir(name))
		dir := filepath.ToSlash(rel)
		if file.Name.Name == "main" && dir != "." {
			return nil
		}
		checked[dir] = true
		allowed := strings.Fields(arrows[dir])
		for _, spec := range file.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			if !ours {
				continue
			}
			ok := false
			for _, a := range allowed {
				ok = ok || a == imported
			}
			if !ok {
				t.Errorf("%s imports %s: no arrow leads from %s there", path.Clean(name), imported, dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range arrows {
		if !checked[dir] {
			t.Errorf("no package was found in %s", dir)
		}
	}
}
