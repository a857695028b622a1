package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
)

// routes is the whole surface. Each has a policy; the table refuses one
// without.
func routes() []route {
	fhirRoute := func(method, pattern string, body bodyKind, bodyMax int64, handle func(*Gateway, context.Context, *call) (*answer, error)) route {
		return route{method: method, pattern: pattern, policy: bySession, body: body, bodyMax: bodyMax, handle: handle}
	}
	return append(binaryRoutes(), []route{
		{method: http.MethodGet, pattern: "/metadata", policy: open, body: noBody, handle: (*Gateway).capabilities},
		{method: http.MethodGet, pattern: "/health", policy: open, body: noBody, handle: (*Gateway).health},
		{method: http.MethodPost, pattern: "/login/offer", policy: open, body: loginBody, bodyMax: offerBodyMax, handle: (*Gateway).offer},
		{method: http.MethodPost, pattern: "/login/complete", policy: open, body: loginBody, bodyMax: loginBodyMax, handle: (*Gateway).complete},
		{method: http.MethodPost, pattern: "/login/seeds", policy: bySession, body: loginBody, bodyMax: loginBodyMax, handle: (*Gateway).moreSeeds},
		{method: http.MethodPost, pattern: "/logout", policy: bySession, body: noBody, handle: (*Gateway).logout},
		fhirRoute(http.MethodPost, "/", bundleBody, bundleBodyMax, (*Gateway).bundle),
		fhirRoute(http.MethodGet, "/Patient/{id}/$everything", noBody, 0, (*Gateway).everything),
		fhirRoute(http.MethodPost, "/{type}/_search", formBody, formBodyMax, (*Gateway).search),
		fhirRoute(http.MethodGet, "/{type}", noBody, 0, (*Gateway).search),
		fhirRoute(http.MethodPost, "/{type}", resourceBody, resourceBodyMax, (*Gateway).create),
		fhirRoute(http.MethodGet, "/{type}/{id}", noBody, 0, (*Gateway).read),
		fhirRoute(http.MethodPut, "/{type}/{id}", resourceBody, resourceBodyMax, (*Gateway).update),
		fhirRoute(http.MethodDelete, "/{type}/{id}", noBody, 0, (*Gateway).remove),
		fhirRoute(http.MethodGet, "/{type}/{id}/_history", noBody, 0, (*Gateway).history),
		fhirRoute(http.MethodGet, "/{type}/{id}/_history/{version}", noBody, 0, (*Gateway).vread),
	}...)
}

// ServeHTTP is the one way in: route, headers, session, body, handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if !g.enter() {
		refuse(w, refusal(http.StatusServiceUnavailable, "transient", "this gateway is stopping; try another, or again in a moment"))
		return
	}
	defer g.flight.Done()
	started := g.now()
	name, status, cut := g.serve(w, r)
	g.counters.served(name, status, g.now().Sub(started))
	if cut {
		panic(http.ErrAbortHandler) // the connection breaks: what was sent is not the whole
	}
}

// serve answers one request and returns the route's name and the status, for
// counting.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) (name string, status int, cut bool) {
	way, at, allow := g.table.find(r.Method, r.URL.EscapedPath())
	if way == nil {
		return "unknown", g.unrouted(w, allow), false
	}
	name = way.method + " " + way.pattern
	a, err := g.answerTo(w, r, way, at)
	if err != nil {
		o := g.outcome(r.Context(), name, err)
		refuse(w, o)
		return name, o.Status, false
	}
	a.write(w)
	return name, a.status, a.cut
}

func (g *Gateway) unrouted(w http.ResponseWriter, allow []string) int {
	if len(allow) == 0 {
		refuse(w, refusal(http.StatusNotFound, "not-found", "there is no such path here; see /metadata for what is"))
		return http.StatusNotFound
	}
	slices.Sort(allow)
	w.Header().Set("Allow", strings.Join(allow, ", "))
	refuse(w, refusal(http.StatusMethodNotAllowed, "not-supported", "this path does not take that method; see Allow"))
	return http.StatusMethodNotAllowed
}

func (g *Gateway) answerTo(w http.ResponseWriter, r *http.Request, way *route, at place) (*answer, error) {
	c, err := callOf(r, way, at)
	if err != nil {
		return nil, err
	}
	switch way.policy {
	case open:
	case bySession:
		if c.person, c.access, err = g.sessions.find(r, g.now()); err != nil {
			return nil, err
		}
	default:
		panic("gateway: a sealed table holds no route without a policy")
	}
	if way.native {
		c.native = &native{w: w, r: r, control: http.NewResponseController(w)}
	}
	release, err := g.room(r.Context(), r, way)
	if err != nil {
		return nil, err
	}
	defer release()
	if c.body, err = readBody(w, r, way); err != nil {
		return nil, err
	}
	return way.handle(g, r.Context(), c)
}

// room waits until the body fits among those being worked on.
func (g *Gateway) room(ctx context.Context, r *http.Request, way *route) (release func(), err error) {
	if way.body == streamBody {
		return func() {}, nil // bounded by what is worked on at a time
	}
	size := way.bodyMax
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	if err := g.bodies.Acquire(ctx, size); err != nil {
		return nil, err
	}
	return func() { g.bodies.Release(size) }, nil
}

// outcome is what the caller is told; what only operators can mend is logged.
func (g *Gateway) outcome(ctx context.Context, name string, err error) *fhir.OutcomeError {
	o := outcomeOf(err)
	switch {
	case errors.Is(err, context.Canceled):
	case o.Status == http.StatusInternalServerError || o.Status == http.StatusBadGateway:
		g.log.ErrorContext(ctx, "request failed", "route", name, "error", err.Error())
	case o.Status == http.StatusServiceUnavailable:
		g.log.WarnContext(ctx, "request not served", "route", name, "error", err.Error())
	}
	return o
}

// capabilities answers GET /metadata.
func (g *Gateway) capabilities(context.Context, *call) (*answer, error) {
	return &answer{status: http.StatusOK, body: g.metadata}, nil
}

// health answers GET /health: this process runs. Whether the keepers do is
// told by the metrics.
func (g *Gateway) health(context.Context, *call) (*answer, error) {
	return &answer{status: http.StatusOK, content: contentJSON, body: []byte(`{"status":"ok"}` + "\n")}, nil
}

// timeouts of a listener for this handler.
const (
	// ReadHeaderTimeout bounds the headers of a request.
	ReadHeaderTimeout = 10 * time.Second
	// ReadTimeout bounds a whole request: a Bundle over a slow line.
	ReadTimeout = 2 * time.Minute
	// IdleTimeout ends connections that wait for nothing.
	IdleTimeout = 2 * time.Minute
)
