package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/abaton-health/abaton"
)

// Content types of the protocol.
const (
	ContentCBOR    = "application/cbor"
	ContentText    = "text/plain; charset=utf-8"
	ContentBytes   = "application/octet-stream"
	contentProblem = "application/problem+json"
	// ContentTreeSize answers add-checkpoint with the size held
	// (c2sp.org/tlog-witness).
	ContentTreeSize = "text/x.tlog.size"
)

// Times at the edge: a request body is at most 24 MB and comes within
// readTimeout even over a slow line; nothing streams.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 5 * time.Minute
	headerBytesMax    = 16 << 10
)

// Memory at the edge. What a caller says of a body's length moves nothing;
// what has come of it counts, and beyond smallBody it counts towards what all
// bodies together may hold until they are answered. Requests and revocations
// are small, so large bodies cannot crowd them out.
const (
	smallBody  = 64 << 10
	largeBytes = 96 << 20
)

// statuses maps each reason to its HTTP status; client and server share it.
// Reasons that are not named are 403.
var statuses = map[abaton.Reason]int{
	abaton.ReasonMalformed:   http.StatusBadRequest,
	abaton.ReasonTooLarge:    http.StatusRequestEntityTooLarge,
	abaton.ReasonRoute:       http.StatusNotFound,
	abaton.ReasonNotFound:    http.StatusNotFound,
	abaton.ReasonNoSession:   http.StatusUnauthorized,
	abaton.ReasonSession:     http.StatusUnauthorized,
	abaton.ReasonCredential:  http.StatusUnauthorized,
	abaton.ReasonCloned:      http.StatusUnauthorized,
	abaton.ReasonSignature:   http.StatusUnauthorized,
	abaton.ReasonTime:        http.StatusUnauthorized,
	abaton.ReasonReplay:      http.StatusConflict,
	abaton.ReasonSlot:        http.StatusConflict,
	abaton.ReasonParent:      http.StatusConflict,
	abaton.ReasonEpoch:       http.StatusConflict,
	abaton.ReasonErased:      http.StatusGone,
	abaton.ReasonQuota:       http.StatusTooManyRequests,
	abaton.ReasonBudget:      http.StatusTooManyRequests,
	abaton.ReasonClock:       http.StatusServiceUnavailable,
	abaton.ReasonLease:       http.StatusServiceUnavailable,
	abaton.ReasonQuarantine:  http.StatusServiceUnavailable,
	abaton.ReasonStorage:     http.StatusServiceUnavailable,
	abaton.ReasonCertificate: http.StatusForbidden,
}

// StatusError is a refusal with its own status and body, for the C2SP routes
// that prescribe them (c2sp.org/tlog-witness).
type StatusError struct {
	Status  int
	Content string
	Body    []byte
}

func (e *StatusError) Error() string { return "status " + strconv.Itoa(e.Status) }

// problem is the body of a refusal (RFC 9457).
type problem struct {
	Type   string        `json:"type"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Reason abaton.Reason `json:"reason"`
}

// Counter counts answers by route and reason; it never sees who asked.
type Counter func(route string, reason abaton.Reason)

type handler struct {
	table *Table
	log   *slog.Logger
	count Counter
	cors  map[string]bool
	large atomic.Int64 // bytes of bodies beyond smallBody, held now
}

// NewHandler serves a sealed table. Origins are the exact browser origins that
// may call it. A nil log discards; a nil count counts nothing.
func NewHandler(table *Table, origins []string, log *slog.Logger, count Counter) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if count == nil {
		count = func(string, abaton.Reason) {}
	}
	h := &handler{table: table, log: log, count: count, cors: make(map[string]bool)}
	for _, o := range origins {
		h.cors[o] = true
	}
	return h
}

// NewHTTPServer wraps a handler with the limits of this package.
func NewHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          nil,
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if h.preflight(w, r) {
		return
	}
	route, ok := h.table.find(r.URL.EscapedPath())
	if !ok || r.Method != route.Method || r.URL.RawQuery != "" {
		h.refuse(w, "unknown", abaton.ReasonRoute)
		return
	}
	body, reason := h.readBody(w, r, route)
	defer func() { h.large.Add(-int64(max(cap(body)-smallBody, 0))) }()
	if reason != "" {
		h.refuse(w, route.Path, reason)
		return
	}
	answer, err := route.Handle(r.Context(), r.URL.Path, body)
	if err != nil {
		h.fail(w, r.Context(), route, err)
		return
	}
	h.count(route.Path, "")
	w.Header().Set("Content-Type", route.Reply)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer) // a broken connection is the caller's to notice
}

// preflight answers CORS for the exact origins of the keeper set; there are
// no cookies and nothing ambient to protect.
func (h *handler) preflight(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || !h.cors[origin] {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Vary", "Origin")
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// readBody returns what it read also with a reason: the caller gives back what
// was counted for it.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request, route Route) ([]byte, abaton.Reason) {
	if route.BodyMax == 0 {
		if r.ContentLength > 0 {
			return nil, abaton.ReasonTooLarge
		}
		return nil, ""
	}
	if r.Header.Get("Content-Type") != route.Content || r.Header.Get("Content-Encoding") != "" {
		return nil, abaton.ReasonMalformed
	}
	if r.ContentLength > route.BodyMax {
		return nil, abaton.ReasonTooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, route.BodyMax)
	body := make([]byte, 0, min(max(r.ContentLength, 512)+1, smallBody))
	for {
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return body, abaton.ReasonTooLarge
		}
		if errors.Is(err, io.EOF) {
			return body, shorter(body, r.ContentLength)
		}
		if err != nil {
			return body, abaton.ReasonMalformed
		}
		if len(body) < cap(body) {
			continue
		}
		if body, err = h.grow(body, route.BodyMax); err != nil {
			return body, abaton.ReasonStorage
		}
	}
}

// shorter refuses a body of another length than was said.
func shorter(body []byte, said int64) abaton.Reason {
	if said >= 0 && int64(len(body)) != said {
		return abaton.ReasonMalformed
	}
	return ""
}

var errCrowded = errors.New("too many large bodies at once")

// grow doubles the room of a full body, if there is so much.
func (h *handler) grow(body []byte, most int64) ([]byte, error) {
	room := int(min(2*int64(cap(body)), max(most+1, int64(cap(body))+1)))
	more := int64(max(room-smallBody, 0) - max(cap(body)-smallBody, 0))
	if h.large.Add(more) > largeBytes {
		h.large.Add(-more)
		return body, errCrowded
	}
	bigger := make([]byte, len(body), room)
	copy(bigger, body)
	return bigger, nil
}

func (h *handler) fail(w http.ResponseWriter, ctx context.Context, route Route, err error) {
	if e, ok := errors.AsType[*StatusError](err); ok {
		w.Header().Set("Content-Type", e.Content)
		w.WriteHeader(e.Status)
		w.Write(e.Body)
		return
	}
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		h.refuse(w, route.Path, e.Reason)
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	h.log.ErrorContext(ctx, "request failed", "route", route.Path, "error", err.Error())
	h.refuse(w, route.Path, abaton.ReasonStorage)
}

func (h *handler) refuse(w http.ResponseWriter, route string, reason abaton.Reason) {
	h.count(route, reason)
	status, ok := statuses[reason]
	if !ok {
		status = http.StatusForbidden
	}
	body, err := json.Marshal(problem{Type: "about:blank", Title: "refused", Status: status, Reason: reason})
	if err != nil {
		panic("keeper: a problem always encodes")
	}
	w.Header().Set("Content-Type", contentProblem)
	w.WriteHeader(status)
	w.Write(body)
}

// parseProblem reads a refusal back into an error; anything unreadable is a
// transport error that names only the status.
func parseProblem(status int, body []byte) error {
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Reason == "" || len(p.Reason) > 32 {
		return fmt.Errorf("keeper answered status %d", status)
	}
	return abaton.Refuse(p.Reason)
}
