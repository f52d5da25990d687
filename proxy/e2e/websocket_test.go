package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// output is what a program has printed.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// largest is the longest message of these tests.
const largest = 16 << 20

// serveEcho sends the messages of a WebSocket back until it is closed.
func serveEcho(t *testing.T, w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"echo"}})
	if err != nil {
		t.Errorf("accepting a WebSocket: %v", err)
		return
	}
	defer socket.CloseNow()
	socket.SetReadLimit(largest)
	for {
		kind, message, err := socket.Read(context.Background())
		if err != nil {
			return
		}
		if err := socket.Write(context.Background(), kind, message); err != nil {
			return
		}
	}
}
