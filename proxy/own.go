package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/banner"
)

// maxOwnBody bounds what is sent to an own endpoint.
const maxOwnBody = 64 << 10

// call is one request to an own endpoint, as fasthttp sees it.
type call struct {
	ctx fasthttp.RequestCtx
	out bufio.Writer
}

var calls = sync.Pool{New: func() any { return new(call) }}

// printer is fasthttp's logger.
type printer struct{ log *slog.Logger }

func (p printer) Printf(format string, args ...any) { p.log.Warn(fmt.Sprintf(format, args...)) }

// serveOwn lets the banner answer.
func (x *exchange) serveOwn() (keep bool) {
	if x.expects {
		if x.v.write(continueLine) != nil {
			return false
		}
		x.expects = false
	}
	var payload []byte
	for {
		p, err := x.upload.next()
		if err == io.EOF {
			break
		}
		if f := (*fault)(nil); errors.As(err, &f) {
			return x.fail(f)
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			return x.fail(faultSlow)
		} else if err != nil {
			return false
		}
		if payload = append(payload, p...); len(payload) > maxOwnBody {
			return x.fail(&fault{413, "own-body-size"})
		}
	}

	c := calls.Get().(*call)
	defer calls.Put(c)
	ctx := &c.ctx
	ctx.Init2(x.v.conn, printer{x.proxy.log}, true)
	ctx.Request.Reset()
	ctx.Response.Reset()
	ctx.Request.Header.SetMethodBytes(x.request.method)
	ctx.Request.Header.SetRequestURIBytes(x.target)
	for i := range x.request.fields {
		f := &x.request.fields[i]
		if !x.request.nominated(f) && f.id != nameContentLength && f.id != nameExpect {
			ctx.Request.Header.AddBytesKV(f.name, f.value)
		}
	}
	ctx.Request.Header.SetHostBytes(x.address)
	ctx.Request.SetBody(payload)
	ctx.Response.Header.SetNoDefaultContentType(true)
	x.site.banner.Serve(ctx, &banner.Visit{
		Standing:   x.standing,
		RegimeRule: x.regimeRule(),
		GPP:        x.section(),
		Secure:     x.secure,
		Host:       string(x.address),
		Address:    truncate(x.client).String(),
	})
	ctx.Response.SkipBody = x.isHead()
	if x.last {
		ctx.Response.SetConnectionClose()
	} else if x.request.minor == 0 {
		ctx.Response.Header.Set("Connection", "keep-alive")
	}
	var out bytes.Buffer
	c.out.Reset(&out)
	if ctx.Response.Write(&c.out) != nil || c.out.Flush() != nil {
		return false
	}
	x.proxy.metrics.own.Add(1)
	err := x.v.write(out.Bytes())
	x.logAccess(ctx.Response.StatusCode())
	return err == nil && !x.last
}
