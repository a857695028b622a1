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
	return slices.Concat(smartRoutes(), binaryRoutes(), portalRoutes(), []route{
		{method: http.MethodGet, pattern: "/metadata", policy: open, body: noBody, handle: (*Gateway).capabilities},
		{method: http.MethodGet, pattern: "/health", policy: open, body: noBody, handle: (*Gateway).health},
		{method: http.MethodGet, pattern: "/status", policy: open, body: noBody, handle: (*Gateway).status},
		{method: http.MethodPost, pattern: "/login/offer", policy: open, body: loginBody, bodyMax: offerBodyMax, handle: (*Gateway).offer},
		{method: http.MethodPost, pattern: "/login/complete", policy: open, body: loginBody, bodyMax: loginBodyMax, handle: (*Gateway).complete},
		{method: http.MethodPost, pattern: "/login/seeds", policy: bySession, body: loginBody, bodyMax: loginBodyMax, handle: (*Gateway).moreSeeds},
		{method: http.MethodPost, pattern: "/logout", policy: bySession, body: noBody, handle: (*Gateway).logout},
		fhirRoute(http.MethodPost, "/", bundleBody, bundleBodyMax, (*Gateway).bundle),
		fhirRoute(http.MethodGet, "/Patient/{id}/$everything", noBody, 0, (*Gateway).everything),
		fhirRoute(http.MethodPost, "/Patient/{id}/$document", documentBody, documentBodyMax, (*Gateway).document),
		fhirRoute(http.MethodPost, "/Patient/$merge", resourceBody, resourceBodyMax, (*Gateway).merge),
		fhirRoute(http.MethodPost, "/Patient/$unmerge", resourceBody, resourceBodyMax, (*Gateway).unmerge),
		fhirRoute(http.MethodPost, "/{type}/_search", formBody, formBodyMax, (*Gateway).search),
		fhirRoute(http.MethodPost, "/{type}/$validate", resourceBody, resourceBodyMax, (*Gateway).validate),
		fhirRoute(http.MethodPost, "/{type}/{id}/$validate", resourceBody, resourceBodyMax, (*Gateway).validate),
		fhirRoute(http.MethodGet, "/{type}", noBody, 0, (*Gateway).search),
		fhirRoute(http.MethodPost, "/{type}", resourceBody, resourceBodyMax, (*Gateway).create),
		fhirRoute(http.MethodGet, "/{type}/{id}", noBody, 0, (*Gateway).read),
		fhirRoute(http.MethodPut, "/{type}/{id}", resourceBody, resourceBodyMax, (*Gateway).update),
		fhirRoute(http.MethodDelete, "/{type}/{id}", noBody, 0, (*Gateway).remove),
		fhirRoute(http.MethodGet, "/DocumentReference/$docref", noBody, 0, (*Gateway).docref),
		fhirRoute(http.MethodPost, "/DocumentReference/$docref", anyBody, formBodyMax, (*Gateway).docref),
		fhirRoute(http.MethodPost, "/$export", anyBody, formBodyMax, (*Gateway).beginExport),
		fhirRoute(http.MethodPost, "/Patient/$export", anyBody, formBodyMax, (*Gateway).beginPatientExport),
		fhirRoute(http.MethodPost, "/Group/{id}/$export", anyBody, formBodyMax, (*Gateway).beginGroupExport),
		starting(fhirRoute(http.MethodGet, "/$export", noBody, 0, (*Gateway).beginExport)),
		starting(fhirRoute(http.MethodGet, "/Patient/$export", noBody, 0, (*Gateway).beginPatientExport)),
		starting(fhirRoute(http.MethodGet, "/Group/{id}/$export", noBody, 0, (*Gateway).beginGroupExport)),
		fhirRoute(http.MethodGet, "/Subscription/{id}/$status", noBody, 0, (*Gateway).subscriptionStatus),
		fhirRoute(http.MethodPost, "/Subscription/{id}/$status", anyBody, formBodyMax, (*Gateway).subscriptionStatus),
		fhirRoute(http.MethodPost, "/$import", anyBody, formBodyMax, (*Gateway).beginImport),
		fhirRoute(http.MethodGet, "/bulk/{id}", noBody, 0, (*Gateway).jobStatus),
		fhirRoute(http.MethodDelete, "/bulk/{id}", noBody, 0, (*Gateway).jobCancel),
		starting(fhirRoute(http.MethodGet, "/bulk/{id}/{version}", noBody, 0, (*Gateway).jobFile)),
		fhirRoute(http.MethodPut, "/bulk/{id}/{version}", linesBody, importPartMax, (*Gateway).importPart),
		fhirRoute(http.MethodGet, "/{type}/{id}/_history", noBody, 0, (*Gateway).history),
		fhirRoute(http.MethodGet, "/{type}/_history", noBody, 0, (*Gateway).pastOfAll),
		fhirRoute(http.MethodGet, "/_history", noBody, 0, (*Gateway).pastOfAll),
		fhirRoute(http.MethodPatch, "/{type}/{id}", patchBody, resourceBodyMax, (*Gateway).patch),
		fhirRoute(http.MethodPatch, "/{type}", patchBody, resourceBodyMax, (*Gateway).conditionalPatch),
		fhirRoute(http.MethodPut, "/{type}", resourceBody, resourceBodyMax, (*Gateway).conditionalUpdate),
		fhirRoute(http.MethodDelete, "/{type}", noBody, 0, (*Gateway).conditionalDelete),
		fhirRoute(http.MethodGet, "/{type}/{id}/_history/{version}", noBody, 0, (*Gateway).vread),
	})
}

// starting marks a GET that begins something.
func starting(r route) route {
	r.starts = true
	return r
}

// ServeHTTP is the one way in: route, headers, session, body, handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
	if !g.enter() {
		refuse(w, refusal(http.StatusServiceUnavailable, "transient", "this gateway is stopping; try another, or again in a moment"))
		return
	}
	defer g.flight.Done()
	o := observe(r, g.now())
	var cut bool
	o.Route, o.Status, cut = g.serve(w, r)
	o.Took = g.now().Sub(o.Begun)
	g.counters.served(o.Route, o.Status, o.Took)
	g.observed(r.Context(), o)
	if cut {
		panic(http.ErrAbortHandler) // the connection breaks: what was sent is not the whole
	}
}

// serve answers one request and returns the route's name and the status, for
// counting; cut tells of an answer that could not be sent whole.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) (name string, status int, cut bool) {
	if g.shares(w, r) {
		return "preflight", http.StatusNoContent, false
	}
	way, at, allow := g.table.find(r.Method, r.URL.EscapedPath())
	if way == nil {
		return "unknown", g.unrouted(w, allow), false
	}
	name = way.method + " " + way.pattern
	a, err := g.answerTo(w, r, way, at)
	if err != nil {
		o := g.outcome(r.Context(), name, err)
		challenge(w, err)
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
		err = tooFast(w, g.origins.take(r, g.rates.origin, g.now()))
	case bySession:
		err = g.admit(w, way, c)
		var slow error
		if c.person != nil {
			slow = tooFast(w, c.person.pace.take(g.rates.person, g.now()))
		} else { // whoever guesses access values is slowed down
			slow = tooFast(w, g.origins.take(r, g.rates.origin, g.now()))
		}
		if slow != nil {
			err = slow
		}
	default:
		panic("gateway: a sealed table holds no route without a policy")
	}
	if err != nil {
		return nil, err
	}
	if way.native {
		c.native = &native{w: w, r: r, control: http.NewResponseController(w)}
	}
	release, err := g.room(r.Context(), r, way)
	if err != nil {
		return nil, err
	}
	defer release()
	body, err := readBody(w, r, way)
	if err != nil {
		return nil, err
	}
	c.settle(body)
	a, err := g.carryOut(r.Context(), way, c)
	return a, g.pointed(r.Context(), c, err)
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
	g.counters.watched(err)
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
