package proxy

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/askfirst/askfirst/configs"
)

// TestRequestOverKept sends a request over a connection that was kept, one that
// fits into what the system holds and one that does not, and reads the answer:
// to the whole of it, or to its beginning.
func TestRequestOverKept(t *testing.T) {
	const answer = "HTTP/1.1 "
	for _, c := range []struct {
		name string
		size int  // of the request
		read int  // how much of it the upstream reads before it answers
		late bool // the time of the first read is over before it begins
	}{
		{"small", 100, 100, false},
		{"answered at its first byte", 100, 1, false},
		{"late", 100, 100, true},
		{"large", 8 << 20, 8 << 20, false},
		{"large, answered at its first byte", 8 << 20, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := bytes.Repeat([]byte("askfirst"), c.size/8+1)[:c.size]
			got, done := make(chan []byte, 1), make(chan struct{})
			defer close(done)
			address := script(t, func(_ int, p *peer) {
				b := make([]byte, c.read)
				if _, err := io.ReadFull(p.r, b); err != nil {
					t.Error(err)
				}
				got <- b
				p.send(answer)
				<-done
			})
			conn, err := net.Dial("tcp", address[len("http://"):])
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			l := &link{
				Conn: conn, sock: socketOf(conn), kept: true, patience: testLimit,
				up: &upstream{limits: &configs.Limits{Write: 300 * time.Millisecond}},
			}
			if c.late {
				l.readBy = time.Now().Add(watch * 3 / 4)
				conn.SetReadDeadline(time.Unix(1, 0))
			}
			if err := l.send(request, nil, false); err != nil {
				t.Fatal(err)
			}
			if err := l.await(); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, len(answer))
			if n, err := l.Read(p); err != nil || string(p[:n]) != answer {
				t.Errorf("%q, %v", p[:n], err)
			}
			if !bytes.Equal(<-got, request[:c.read]) {
				t.Error("another request arrived")
			}
		})
	}
}
