package keeper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// drip gives one byte and then nothing, as a slow or lying caller does.
type drip struct {
	given bool
	then  func()
}

func (d *drip) Read(p []byte) (int, error) {
	if !d.given {
		d.given = true
		p[0] = 1
		return 1, nil
	}
	d.then()
	return 0, errors.New("caller went away")
}

func (d *drip) Close() error { return nil }

func sealed(t *testing.T, most int64, handle func([]byte)) *handler {
	t.Helper()
	table, err := Seal([]Route{{
		Method: "POST", Path: "/big", Policy: ByWriter, BodyMax: most, Content: ContentCBOR, Reply: ContentCBOR,
		Handle: func(_ context.Context, _ string, body []byte) ([]byte, error) { handle(body); return nil, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	return NewHandler(table, nil, nil, nil).(*handler)
}

func post(h http.Handler, body io.ReadCloser, length int64) int {
	r := httptest.NewRequest("POST", "/big", nil)
	r.Body, r.ContentLength = body, length
	r.Header.Set("Content-Type", ContentCBOR)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// A caller says 24 MB and sends a byte: nothing is set aside for the rest.
func TestAttackContentLengthLie(t *testing.T) {
	h := sealed(t, 24<<20, func([]byte) {})
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	code := post(h, &drip{then: func() { runtime.ReadMemStats(&during) }}, 24<<20)
	if code != http.StatusBadRequest {
		t.Errorf("got status %d, want 400", code)
	}
	if got := during.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("one byte of a body made the keeper set aside %d bytes", got)
	}
}

// All bodies together have a bound; a small request still comes through, and
// what was answered makes room again.
func TestAttackManyLargeBodies(t *testing.T) {
	const body = 24 << 20
	bodyOf := func(n int) io.ReadCloser { return io.NopCloser(bytes.NewReader(make([]byte, n))) }
	var h *handler
	depth, refused := 0, 0
	h = sealed(t, body, func(b []byte) {
		if len(b) < body || depth == 8 {
			return
		}
		depth++ // the next one comes while this one is being answered
		if post(h, bodyOf(body), body) == http.StatusServiceUnavailable {
			refused++
			if code := post(h, bodyOf(1000), 1000); code != http.StatusOK {
				t.Errorf("small body among large ones: got status %d, want 200", code)
			}
		}
	})
	if code := post(h, bodyOf(body), body); code != http.StatusOK {
		t.Fatalf("got status %d, want 200", code)
	}
	if refused == 0 {
		t.Error("no bound on large bodies held at once")
	}
	if got := h.large.Load(); got != 0 {
		t.Errorf("got %d bytes still counted after all answers, want 0", got)
	}
	if code := post(h, bodyOf(body), -1); code != http.StatusOK {
		t.Errorf("after all answers: got status %d, want 200", code)
	}
	if code := post(h, bodyOf(body+1), -1); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte too many: got status %d, want 413", code)
	}
	if code := post(h, bodyOf(99), 100); code != http.StatusBadRequest {
		t.Errorf("a byte too few: got status %d, want 400", code)
	}
}
