package configs

import (
	"maps"
	"os"
	"time"
)

// Files lists the files that c was made from, path first: a change of any of
// them wants it read again. Databases of places and vendor lists are read when
// that is asked for alone.
func (c *Config) Files(path string) []string {
	files := []string{path}
	add := func(names ...string) {
		for _, name := range names {
			if name != "" {
				files = append(files, name)
			}
		}
	}
	for _, pair := range c.TLS.Certificates {
		add(pair.Chain, pair.Key)
	}
	add(c.TLS.ACME.CA)
	for i := range c.Sites {
		s := &c.Sites[i]
		add(s.UpstreamTLS.CA, s.UpstreamTLS.Certificate, s.UpstreamTLS.Key)
		add(s.OverridesFile)
		for _, list := range s.Lists {
			add(list.Name)
		}
	}
	return files
}

// Watch finds out whether files have changed, by looking at them. That sees
// what notifications of a kernel do not: changes on network file systems, in
// mounts of containers, and links that lead elsewhere from now on.
type Watch struct {
	rested map[string]stamp // as they were when they last were at rest
	last   map[string]stamp
}

// stamp is what tells one state of a file from another; zero for no file.
type stamp struct {
	modified time.Time
	size     int64
}

// NewWatch takes the files as they are now for what is known.
func NewWatch(files []string) *Watch {
	now := look(files)
	return &Watch{now, now}
}

// For returns a watch of other files: those that w knows are known as they were
// to it, the rest as they are now.
func (w *Watch) For(files []string) *Watch {
	known := look(files)
	for name := range known {
		if was, ok := w.rested[name]; ok {
			known[name] = was
		}
	}
	return &Watch{known, known}
}

func look(files []string) map[string]stamp {
	now := make(map[string]stamp, len(files))
	for _, name := range files {
		now[name] = stamp{}
		if info, err := os.Stat(name); err == nil {
			now[name] = stamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// Changed reports whether a file is another than it was known to be, and was
// so at the last call too: one that is being written is let come to rest. What
// it was found to be is known from then on.
func (w *Watch) Changed() bool {
	files := make([]string, 0, len(w.rested))
	for name := range w.rested {
		files = append(files, name)
	}
	now := look(files)
	moving := !maps.Equal(now, w.last)
	w.last = now
	if moving || maps.Equal(now, w.rested) {
		return false
	}
	w.rested = now
	return true
}
