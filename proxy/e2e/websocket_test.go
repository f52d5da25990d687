package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

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

// Messages of all sizes come back as they were sent, in one frame and in many,
// one way at a time and both at once.
func TestWebSocketEcho(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveEcho(t, w, r) }))
	t.Cleanup(upstream.Close)
	proxy, _ := launch(t, "serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin", "off", "--data", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, mode := range map[string]websocket.CompressionMode{"plain": websocket.CompressionDisabled, "deflated": websocket.CompressionContextTakeover} {
		t.Run(name, func(t *testing.T) {
			socket, resp, err := websocket.Dial(ctx, "ws://"+proxy+"/chat?room=%2F", &websocket.DialOptions{Subprotocols: []string{"none", "echo"}, CompressionMode: mode})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.CloseNow()
			socket.SetReadLimit(largest)
			if resp.StatusCode != 101 || socket.Subprotocol() != "echo" {
				t.Errorf("%s, %q", resp.Status, socket.Subprotocol())
			}
			for _, size := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20, largest} {
				message := make([]byte, size)
				rand.Read(message)
				sent := make(chan error, 1)
				go func() { sent <- socket.Write(ctx, websocket.MessageBinary, message) }()
				kind, back, err := socket.Read(ctx)
				if e := <-sent; err != nil || e != nil || kind != websocket.MessageBinary || !bytes.Equal(back, message) {
					t.Fatalf("%d bytes: %v, %v, %d came back", size, err, e, len(back))
				}
			}
			// A message in many frames.
			w, err := socket.Writer(ctx, websocket.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Repeat("häppchen ", 1000)
			for part := range strings.SplitAfterSeq(text, " ") {
				if _, err := io.WriteString(w, part); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if kind, back, err := socket.Read(ctx); err != nil || kind != websocket.MessageText || string(back) != text {
				t.Errorf("%v, %d bytes", err, len(back))
			}
			// A ping is answered by the upstream.
			reading := socket.CloseRead(ctx)
			if err := socket.Ping(reading); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
	}
}

// Each side sees the code and the reason with which the other closes, and the
// end of a connection that ends without.
func TestWebSocketClose(t *testing.T) {
	asked := make(chan websocket.CloseError, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		defer socket.CloseNow()
		switch r.URL.Path {
		case "/close":
			socket.Close(4321, "closing time")
		case "/vanish":
		default:
			_, _, err := socket.Read(context.Background())
			var closed websocket.CloseError
			errors.As(err, &closed)
			asked <- closed
		}
	}))
	t.Cleanup(upstream.Close)
	proxy, _ := launch(t, "serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin", "off", "--data", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dial := func(path string) *websocket.Conn {
		t.Helper()
		socket, _, err := websocket.Dial(ctx, "ws://"+proxy+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.CloseNow() })
		return socket
	}
	_, _, err := dial("/close").Read(ctx)
	if closed := (websocket.CloseError{}); !errors.As(err, &closed) || closed.Code != 4321 || closed.Reason != "closing time" {
		t.Errorf("the upstream closes: %v", err)
	}
	if _, _, err := dial("/vanish").Read(ctx); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("the upstream vanishes: %v", err)
	}
	for _, code := range []websocket.StatusCode{websocket.StatusNormalClosure, websocket.StatusGoingAway, 3000, 4999} {
		socket := dial("/wait")
		if err := socket.Close(code, "bye"); err != nil {
			t.Errorf("closing with %d: %v", code, err)
		}
		if closed := <-asked; closed.Code != code || closed.Reason != "bye" {
			t.Errorf("the visitor closes with %d: the upstream sees %v", code, closed)
		}
	}
	dial("/wait").CloseNow()
	if closed := <-asked; closed.Code != 0 {
		t.Errorf("the visitor vanishes: the upstream sees %v", closed)
	}
}

// Frames pass as they are written, control frames between the parts of a
// message included, and however they are cut.
func TestWebSocketFrames(t *testing.T) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	frame := func(first byte, payload string) string { // masked by zeros
		head := []byte{first, 0x80}
		switch n := len(payload); {
		case n < 126:
			head[1] |= byte(n)
		default:
			head[1] |= 126
			head = binary.BigEndian.AppendUint16(head, uint16(n))
		}
		return string(head) + "\x00\x00\x00\x00" + payload
	}
	want := frame(0x01, "one ") + frame(0x89, "ping") + frame(0x00, strings.Repeat("two ", 5000)) + frame(0x8a, "") + frame(0x80, "three") +
		frame(0xc1, "with a reserved bit") + frame(0x83, "with an opcode that nobody knows") + frame(0x88, "\x03\xe8")
	got := make(chan string, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		head := make([]byte, 0, 4096)
		for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		frames := make([]byte, len(want))
		io.ReadFull(conn, frames)
		got <- string(frames)
		conn.Write(frames)
	}()
	proxy, _ := launch(t, "serve", "--upstream", "http://"+listener.Addr().String(), "--listen", "127.0.0.1:0", "--admin", "off", "--data", t.TempDir())
	conn, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	// The first frames come with the request, before it is answered.
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n\r\n"+want[:3])
	for i := 3; i < len(want); i += 1009 {
		io.WriteString(conn, want[i:min(i+1009, len(want))])
	}
	if frames := <-got; frames != want {
		t.Errorf("%d bytes came of %d", len(frames), len(want))
	}
	answer, err := io.ReadAll(conn)
	if _, frames, _ := strings.Cut(string(answer), "\r\n\r\n"); err != nil || frames != want {
		t.Errorf("%d bytes came back of %d: %v", len(frames), len(want), err)
	}
}
