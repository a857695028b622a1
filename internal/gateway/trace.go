package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Observed is one request as telemetry may know it: which route, how it ended,
// how long it took. It names nobody and nothing.
type Observed struct {
	Route   string // method and pattern, e.g. "GET /{type}/{id}"; "unknown" for a path that is none
	Status  int    // HTTP
	Begun   time.Time
	Took    time.Duration
	Trace   [16]byte // of the W3C trace this request belongs to
	Span    [8]byte  // of this request in it
	Parent  [8]byte  // the caller's span; zero if the trace begins here
	Sampled bool     // the caller wants it recorded
	Resumed bool     // the trace came with the request
}

// observe opens the span of a request (W3C Trace Context, version 00). A
// header that is not exactly its form begins a new trace.
func observe(r *http.Request, now time.Time) Observed {
	o := Observed{Begun: now}
	if headers := r.Header.Values("traceparent"); len(headers) == 1 {
		o.resume(headers[0])
	}
	if !o.Resumed {
		rand.Read(o.Trace[:])
	}
	rand.Read(o.Span[:])
	return o
}

// resume reads 00-<trace>-<parent>-<flags>, lower-case hexadecimal.
func (o *Observed) resume(text string) {
	parts := strings.Split(text, "-")
	if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 || strings.ToLower(text) != text {
		return
	}
	var trace [16]byte
	var parent [8]byte
	var flags [1]byte
	for _, p := range []struct {
		to   []byte
		from string
	}{{trace[:], parts[1]}, {parent[:], parts[2]}, {flags[:], parts[3]}} {
		if _, err := hex.Decode(p.to, []byte(p.from)); err != nil {
			return
		}
	}
	if trace == [16]byte{} || parent == [8]byte{} {
		return
	}
	o.Trace, o.Parent, o.Sampled, o.Resumed = trace, parent, flags[0]&1 == 1, true
}

// observed tells the log and whoever listens how a request ended.
func (g *Gateway) observed(ctx context.Context, o Observed) {
	g.log.DebugContext(ctx, "request served", "route", o.Route, "status", o.Status, "took", o.Took,
		slog.String("trace_id", hex.EncodeToString(o.Trace[:])), slog.String("span_id", hex.EncodeToString(o.Span[:])))
	if g.listen != nil {
		g.listen(o)
	}
}
