package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/abaton-health/abaton/client"
)

// native is the request of a route that is not read into memory.
type native struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController

	mu    sync.Mutex
	ended bool // broken off: no later deadline counts
}

// streams are the objects coming in and going out. The zero value is ready.
type streams struct {
	mu    sync.Mutex
	count int
	ends  map[int]func() // breaks one off
	next  int
	ended bool
}

// begin lets one more in. done must be called when it is over; end breaks it
// off when the gateway stops.
func (s *streams) begin(end func()) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.count >= streamsMax {
		return nil, refusal(http.StatusServiceUnavailable, "throttled", "too many large objects are under way here; try again in a moment")
	}
	if s.ends == nil {
		s.ends = make(map[int]func())
	}
	s.next++
	at := s.next
	s.count, s.ends[at] = s.count+1, end
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count--
		delete(s.ends, at)
	}, nil
}

// stop breaks all off and lets no other in: what is durable of an upload stays
// and can be gone on with.
func (s *streams) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, end := range s.ends {
		end()
	}
}

// stream begins one over a request. The context ends and reads of the body
// fail when it is broken off.
func (g *Gateway) stream(ctx context.Context, n *native) (_ context.Context, end, done func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	end = func() {
		cancel()
		n.breakOff()
	}
	over, err := g.streams.begin(end)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return ctx, end, func() { over(); cancel() }, nil
}

// breakOff makes a read that waits, and every later one, fail at once.
func (n *native) breakOff() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	n.setRead(time.Unix(1, 0))
}

func (n *native) isBroken() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ended
}

// readBy bounds reads of the body.
func (n *native) readBy(t time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.ended {
		n.setRead(t)
	}
}

// setRead is called with mu held. A connection that knows no deadlines is a
// test's recorder.
func (n *native) setRead(t time.Time) {
	if err := n.control.SetReadDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		n.r.Close = true // the next read fails by itself
	}
}

func (n *native) writeBy(t time.Time) error {
	if err := n.control.SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// Errors of a body that comes.
var (
	errStalled = errors.New("the client sends too slowly")
	errBroken  = errors.New("the body ended early")
)

// incoming is a body that must keep moving: stallTime of waiting for each
// part. What this gateway takes for itself does not count.
type incoming struct {
	n      *native
	broken func() error // why the stream was broken off, or nil
	left   time.Duration
	have   int // bytes since left was filled up
}

func newIncoming(ctx context.Context, n *native) *incoming {
	return &incoming{n: n, broken: func() error { return context.Cause(ctx) }, left: stallTime}
}

// Read reads the body.
func (in *incoming) Read(p []byte) (int, error) {
	if err := in.broken(); err != nil {
		return 0, err
	}
	began := time.Now()
	in.n.readBy(began.Add(in.left))
	n, err := in.n.r.Body.Read(p)
	in.left -= time.Since(began)
	if in.have += n; in.have >= client.PartBytes {
		in.left, in.have = stallTime, 0
	}
	switch {
	case err == nil || err == io.EOF:
	case errors.Is(err, os.ErrDeadlineExceeded) && !in.n.isBroken():
		err = errStalled
	default:
		err = fmt.Errorf("%w: %w", errBroken, err)
	}
	return n, err
}

// outgoing is an answer whose status and headers go out with its first byte:
// until then an error can still be told.
type outgoing struct {
	n      *native
	status int
	stall  time.Duration // how long a chunk may take
	begun  bool
}

// Write writes on, chunk by chunk, each under its own deadline: a client that
// stops reading is let go.
func (o *outgoing) Write(p []byte) (written int, err error) {
	if !o.begun {
		o.begun = true
		o.n.w.WriteHeader(o.status)
	}
	for len(p) > 0 {
		if err := o.n.writeBy(time.Now().Add(o.stall)); err != nil {
			return written, err
		}
		n, err := o.n.w.Write(p[:min(len(p), streamChunk)])
		written, p = written+n, p[n:]
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// end lifts the deadline for the connection's next answer.
func (o *outgoing) end() error { return o.n.writeBy(time.Time{}) }
