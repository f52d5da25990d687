package proxy

import (
	base16 "encoding/hex"
	"strconv"
	"time"
)

// logAccess notes a request that has been answered: in metrics, its trace and
// the access log. The log has the Common or Combined Log Format, or JSON
// objects. Addresses are truncated unless the operator says otherwise, since the
// log of a consent proxy should not be what identifies visitors.
func (x *exchange) logAccess(status int) {
	x.correlate()
	x.proxy.metrics.answered(x, status)
	if t := x.sites.tracer; t != nil {
		t.end(x, status)
	}
	w := x.proxy.o.Access
	if w == nil || x.cfg.AccessLog == "" {
		return
	}
	client := x.client
	if !x.cfg.WholeAddresses {
		client = truncate(client)
	}
	r := &x.request
	line := x.line[:0]
	sent := x.v.out - x.before
	if x.cfg.AccessLog == "json" {
		line = x.begun.AppendFormat(append(line, `{"time":"`...), time.RFC3339Nano)
		line = appendAddr(append(line, `","client":"`...), client)
		line = appendQuoted(append(line, `","host":`...), x.address, true)
		line = appendQuoted(append(line, `,"method":`...), r.method, true)
		line = appendQuoted(append(line, `,"target":`...), r.target, true)
		line = strconv.AppendInt(append(line, `,"status":`...), int64(status), 10)
		line = strconv.AppendInt(append(line, `,"bytes":`...), sent, 10)
		line = strconv.AppendFloat(append(line, `,"seconds":`...), time.Since(x.begun).Seconds(), 'f', 6, 64)
		line = appendQuoted(append(line, `,"referer":`...), r.get(nameReferer), true)
		line = appendQuoted(append(line, `,"agent":`...), r.get(nameUserAgent), true)
		line = appendQuoted(append(line, `,"id":`...), x.correlation.id, true)
		if x.sites.tracer != nil {
			line = base16.AppendEncode(append(line, `,"trace":"`...), x.correlation.span.trace[:])
			line = append(line, '"')
		}
		line = append(line, "}\n"...)
	} else {
		line = appendAddr(line, client)
		line = x.begun.AppendFormat(append(line, " - - ["...), "02/Jan/2006:15:04:05 -0700")
		line = append(line, "] "...)
		// What was no request line is logged as far as it came.
		request := r.text
		for i, c := range request {
			if c == '\r' || c == '\n' {
				request = request[:i]
				break
			}
		}
		line = appendQuoted(line, request, false)
		line = strconv.AppendInt(append(line, ' '), int64(status), 10)
		line = strconv.AppendInt(append(line, ' '), sent, 10)
		if x.cfg.AccessLog == "combined" {
			line = appendQuoted(append(line, ' '), orDash(r.get(nameReferer)), false)
			line = appendQuoted(append(line, ' '), orDash(r.get(nameUserAgent)), false)
		}
		line = append(line, '\n')
	}
	x.line = line
	x.proxy.access.Lock()
	defer x.proxy.access.Unlock()
	w.Write(line)
}

func orDash(s []byte) []byte {
	if s == nil {
		return []byte{'-'}
	}
	return s
}

// appendQuoted appends s between double quotes. Bytes that are not printable
// ASCII are escaped, so that no visitor can write a line of their own.
func appendQuoted(dst, s []byte, json bool) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ' && c < 0x7f:
			dst = append(dst, c)
		case json:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		}
	}
	return append(dst, '"')
}

func (x *exchange) logFailure(err error) {
	x.proxy.log.Warn("an answer was cut short", "site", x.site.Name, "method", string(x.request.method),
		"path", string(x.path()), "status", x.answer.status, "error", err)
}
