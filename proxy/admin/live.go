package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// maxStreams is how many browsers may watch at once.
const maxStreams = 16

// live tells the browser of each change of the contacts, as server-sent
// events.
func (a *Admin) live(w http.ResponseWriter, r *http.Request) {
	if a.o.Contacts == nil {
		http.NotFound(w, r)
		return
	}
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		http.Error(w, "Too many are watching.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	var last string
	quiet := time.Now()
	for {
		list := a.o.Contacts()
		if list == nil {
			list = []Contact{}
		}
		data, err := json.Marshal(list)
		if err != nil {
			return
		}
		switch now := string(data); {
		case now != last:
			fmt.Fprintf(w, "data: %s\n\n", now)
			last, quiet = now, time.Now()
		case time.Since(quiet) > 15*time.Second:
			fmt.Fprint(w, ": still here\n\n")
			quiet = time.Now()
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-look.C:
		case <-r.Context().Done():
			return
		}
	}
}
