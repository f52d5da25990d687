package proxy

import (
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/askfirst/askfirst/banner"
)

// maxOwnBody bounds what is sent to an own endpoint.
const maxOwnBody = 64 << 10

// serveOwn lets the banner answer, through fasthttp's model of the request.
func (x *exchange) serveOwn() error {
	if x.expects {
		if err := x.v.send(continueLine); err != nil {
			return err
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
			return f
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			return faultSlow
		} else if err != nil {
			return errVisitorLeft
		}
		if payload = append(payload, p...); len(payload) > maxOwnBody {
			return &fault{413, "own-body-size"}
		}
	}
	x.ctx.Request.SetBodyRaw(payload)
	x.site.banner.Serve(x.ctx, &banner.Visit{
		Standing:   x.standing,
		RegimeRule: x.regimeRule(),
		Country:    x.place.Country().String(),
		GPP:        x.section(),
		Secure:     x.secure,
		Host:       string(x.address),
		Address:    truncate(x.client).String(),
	})
	x.proxy.metrics.own.Add(1)
	status := x.ctx.Response.StatusCode()
	x.out = append(strconv.AppendInt(append(x.out[:0], "HTTP/1.1 "...), int64(status), 10), ' ')
	x.out = x.appendDate(append(append(x.out, fasthttp.StatusMessage(status)...), crlf...))
	x.begin(status)
	return nil
}
