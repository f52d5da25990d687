package proxy

import (
	"bytes"
	"fmt"
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

// TestSocketDoesNotAllocate writes, reads and asks over a plain connection.
func TestSocketDoesNotAllocate(t *testing.T) {
	request, p := []byte("ask"), make([]byte, 10)
	address := script(t, func(_ int, p *peer) {
		for b := make([]byte, 10); ; {
			if n, err := p.Read(b); err != nil || n != len(request) {
				return
			}
			p.Write(b[:5])
		}
	})
	conn, err := net.Dial("tcp", address[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := socketOf(conn)
	var failed error
	var parts net.Buffers
	var two [2][]byte
	n := testing.AllocsPerRun(100, func() {
		parts = append(net.Buffers(two[:0]), request[:1], request[1:])
		if n, err := s.write(conn, &parts); err != nil || int(n) != len(request) || len(parts) > 0 {
			failed = fmt.Errorf("%d bytes written, %w", n, err)
		}
		if n, err := s.read(conn, p); err != nil || n != 5 {
			failed = fmt.Errorf("%d bytes read, %w", n, err)
		}
		if left, err := s.ask(request); err != nil || len(left) > 0 {
			failed = fmt.Errorf("%d bytes left, %w", len(left), err)
		}
		s.read(conn, p)
	})
	if n != 0 || failed != nil {
		t.Errorf("%v allocations, %v", n, failed)
	}
}
