package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestClientThatStalls: a client that sends nothing more, or takes nothing
// more, is let go.
func TestClientThatStalls(t *testing.T) {
	in, out := make(chan error, 1), make(chan error, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &native{w: w, r: r, control: http.NewResponseController(w)}
		if r.Method == http.MethodPost {
			body := newIncoming(r.Context(), n)
			body.left = time.Millisecond
			_, err := io.Copy(io.Discard, body)
			in <- err
			return
		}
		to := &outgoing{n: n, status: http.StatusOK, stall: time.Millisecond}
		_, err := io.Copy(to, io.LimitReader(&zeros{n: 1 << 40}, 1<<40))
		out <- err
	}))
	defer web.Close()
	body, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go http.DefaultClient.Do(r) // ends with the pipe
	if err := <-in; !errors.Is(err, errStalled) {
		t.Errorf("a client that sends nothing: got %v, want errStalled", err)
	}
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(get)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := <-out; err == nil {
		t.Error("a client that takes nothing was given everything")
	}
}

// TestBrokenOffReads: a stream that is broken off ends a read that waits, and
// no later deadline brings it back.
func TestBrokenOffReads(t *testing.T) {
	got := make(chan error, 1)
	reading := make(chan *native, 1)
	ctx, cancel := context.WithCancel(t.Context())
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &native{w: w, r: r, control: http.NewResponseController(w)}
		reading <- n
		_, err := io.Copy(io.Discard, newIncoming(ctx, n))
		n.readBy(time.Now().Add(time.Hour))
		if _, again := r.Body.Read(make([]byte, 1)); again == nil || again == io.EOF {
			err = errors.New("a later read went on")
		}
		got <- err
	}))
	defer web.Close()
	body, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	go http.DefaultClient.Do(r) // ends with the pipe
	n := <-reading
	cancel()
	n.breakOff()
	if err := <-got; !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: got %v, want errBroken", err)
	}
}
