package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/gateway"
	"github.com/abaton-health/abaton/internal/hl7"
)

func TestNewNamesTheField(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{{Config{}, "Session"}, {Config{Session: newHouse().session}, "Settled"}} {
		if _, err := New(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want it to name %s", err, c.want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	unsupported := strings.Replace(result("m", "m1"), "ORU^R01", "DFT^P03", 1)
	for name, c := range map[string]struct {
		raw          string
		change       func(*house)
		code, reason string
		filed, aside int
	}{
		"filed":                   {raw: result("m", "m1"), code: "AA", filed: 1},
		"nobody's":                {raw: result("m", "x"), code: "AA", reason: "unknown-patient", aside: 1},
		"born on another day":     {raw: strings.Replace(result("m", "m1"), "19800102", "19800103", 1), code: "AA", reason: "patient-mismatch", aside: 1},
		"born in that year":       {raw: strings.Replace(result("m", "m1"), "19800102", "1980", 1), code: "AA", filed: 1},
		"not mapped":              {raw: unsupported, code: "AA", reason: "unsupported", aside: 1},
		"no message":              {raw: "hello", code: "AR", reason: "syntax", aside: 1},
		"two people's":            {raw: result("m", "m1"), change: func(h *house) { h.finding = gateway.ErrSeveral }, code: "AA", reason: "ambiguous", aside: 1},
		"no session":              {raw: result("m", "m1"), change: func(h *house) { h.away = true }, code: "AE"},
		"no session to set aside": {raw: unsupported, change: func(h *house) { h.away = true }, code: "AE"},
		"keepers away, find":      {raw: result("m", "m1"), change: func(h *house) { h.finding = abaton.ErrUnavailable }, code: "AE"},
		"keepers away, write":     {raw: result("m", "m1"), change: func(h *house) { h.filing = func([]byte) error { return abaton.ErrUnavailable } }, code: "AE"},
		"quarantine away":         {raw: unsupported, change: func(h *house) { h.asiding = abaton.ErrUnavailable }, code: "AE"},
		"disk full": {raw: result("m", "m1"), change: func(h *house) {
			h.filing = func([]byte) error { return &fhir.OutcomeError{Status: http.StatusServiceUnavailable} }
		}, code: "AE"},
		"session ended": {raw: result("m", "m1"), change: func(h *house) {
			h.filing = func([]byte) error { return &fhir.OutcomeError{Status: http.StatusUnauthorized} }
		}, code: "AE"},
		"no deposit": {raw: result("m", "m1"), change: func(h *house) {
			h.filing = func([]byte) error { return &fhir.OutcomeError{Status: http.StatusForbidden} }
		}, code: "AA", reason: "no-deposit", aside: 1},
		"grant revoked": {raw: result("m", "m1"), change: func(h *house) { h.filing = func([]byte) error { return abaton.Refuse(abaton.ReasonRevoked) } },
			code: "AA", reason: "no-deposit", aside: 1},
		"keeper in lease": {raw: result("m", "m1"), change: func(h *house) { h.filing = func([]byte) error { return abaton.Refuse(abaton.ReasonLease) } }, code: "AE"},
		"refused by the gateway": {raw: result("m", "m1"), change: func(h *house) {
			h.filing = func([]byte) error { return &fhir.OutcomeError{Status: http.StatusUnprocessableEntity} }
		}, code: "AA", reason: "refused", aside: 1},
		"trouble nobody knows": {raw: result("m", "m1"), change: func(h *house) { h.filing = func([]byte) error { return errors.New("x") } }, code: "AE"},
	} {
		h := newHouse()
		if c.change != nil {
			c.change(h)
		}
		s := connect(t, newIntake(t, h))
		s.send(c.raw)
		control := "m"
		if c.raw == "hello" {
			control = ""
		}
		s.wants(control, c.code, c.reason)
		if filed, aside, _ := h.counts(); filed != c.filed || aside != c.aside {
			t.Errorf("%s: filed %d and set aside %d, want %d and %d", name, filed, aside, c.filed, c.aside)
		}
	}
}

// TestNothingIsAcknowledgedBeforeItIsDurable: while it is pending there is no
// answer; then AA.
func TestNothingIsAcknowledgedBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending = true
		s := connect(t, newIntake(t, h))
		s.send(result("m", "m1"))
		s.conn.SetReadDeadline(time.Now().Add(pendingPatience / 2))
		if _, err := s.frames.Next(); err == nil {
			t.Fatal("answered while it was pending")
		}
		s.conn.SetReadDeadline(time.Time{})
		h.set(func() { h.settled = true })
		s.wants("m", "AA", "")
	})
}

// TestPendingTooLong: the sender is told to send again; sent again it is
// acknowledged once durable, and not written twice.
func TestPendingTooLong(t *testing.T) {
	for name, message := range map[string]string{"filed": result("m", "m1"), "set aside": result("m", "x")} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse()
			h.pending = true
			s := connect(t, newIntake(t, h))
			for range 2 {
				s.send(message)
				s.wants("m", "AE", "")
			}
			h.set(func() { h.settled = true })
			s.send(message)
			reason := ""
			if name == "set aside" {
				reason = "unknown-patient"
			}
			s.wants("m", "AA", reason)
			if filed, aside, _ := h.counts(); filed+aside != 1 {
				t.Errorf("%s: written %d times, want once", name, filed+aside)
			}
		})
	}
}

// TestPendingAndThenRefused: it is written anew, for it never will be there.
func TestPendingAndThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.pending = true
		s := connect(t, newIntake(t, h))
		s.send(result("m", "m1"))
		s.wants("m", "AE", "")
		h.set(func() { h.refused, h.pending, h.known = abaton.ReasonWriter, false, map[string]bool{} })
		s.send(result("m", "m1"))
		s.wants("m", "AA", "")
		if filed, _, _ := h.counts(); filed != 2 {
			t.Errorf("written %d times, want anew", filed)
		}
	})
}

// TestOneBadMessageOfAGroup: the others are filed, in order, and it alone is
// set aside.
func TestOneBadMessageOfAGroup(t *testing.T) {
	h := newHouse()
	h.filing = func(b []byte) error {
		if bytes.Contains(b, []byte(`"Fbad"`)) {
			return &fhir.OutcomeError{Status: http.StatusUnprocessableEntity}
		}
		return nil
	}
	s := connect(t, newIntake(t, h))
	go func() {
		for _, control := range []string{"a", "b", "bad", "c"} {
			hl7.WriteFrame(s.conn, []byte(result(control, "m1")))
		}
	}()
	s.wants("a", "AA", "")
	s.wants("b", "AA", "")
	s.wants("bad", "AA", "refused")
	s.wants("c", "AA", "")
	if filed, aside, _ := h.counts(); filed != 3 || aside != 1 {
		t.Errorf("filed %d and set aside %d, want 3 and 1", filed, aside)
	}
}

// TestOrder: answers keep the connection's order, and what is written keeps
// each patient's.
func TestOrder(t *testing.T) {
	h := newHouse()
	s := connect(t, newIntake(t, h))
	const count = 200
	go func() {
		for n := range count {
			hl7.WriteFrame(s.conn, []byte(result(fmt.Sprint("c", n), []string{"m1", "m2", "x"}[n%3])))
		}
	}()
	for n := range count {
		s.wants(fmt.Sprint("c", n), "AA", []string{"", "", "unknown-patient"}[n%3])
	}
	last := map[int]int{0: -1, 1: -1}
	for _, b := range h.filed {
		for n := range count {
			if bytes.Contains(b, fmt.Appendf(nil, `"value":"Fc%d"`, n)) {
				if n < last[n%3] {
					t.Errorf("message %d was written after %d of the same patient", n, last[n%3])
				}
				last[n%3] = n
			}
		}
	}
}

// TestGroups: what comes while one group is on its way goes together.
func TestGroups(t *testing.T) {
	h := newHouse()
	h.gate = make(chan struct{})
	s := connect(t, newIntake(t, h))
	go func() {
		for n := range windowMax {
			hl7.WriteFrame(s.conn, []byte(result(fmt.Sprint("c", n), "m1")))
		}
		close(h.gate)
	}()
	for n := range windowMax {
		s.wants(fmt.Sprint("c", n), "AA", "")
	}
	if filed, _, calls := h.counts(); filed != windowMax || calls > 4 {
		t.Errorf("%d messages in %d transactions, want %d in at most 4", filed, calls, windowMax)
	}
}

// TestSameMessageTwice: on two connections at once, or again later, it is
// written once and acknowledged each time.
func TestSameMessageTwice(t *testing.T) {
	h := newHouse()
	h.gate = make(chan struct{})
	in := newIntake(t, h)
	one, two := connect(t, in), connect(t, in)
	one.send(result("m", "m1"))
	two.send(result("m", "m1"))
	close(h.gate)
	one.wants("m", "AA", "")
	two.wants("m", "AA", "")
	one.send(result("m", "m1"))
	one.wants("m", "AA", "")
	if filed, _, _ := h.counts(); filed != 1 {
		t.Errorf("written %d times, want once", filed)
	}
}

// TestBackPressure: a sender that does not wait for answers is not read from
// once so many are in hand.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.gate = make(chan struct{})
		s := connect(t, newIntake(t, h))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for n := range 4 * windowMax {
				if hl7.WriteFrame(s.conn, []byte(result(fmt.Sprint("c", n), "m1"))) != nil {
					return
				}
			}
		}()
		time.Sleep(fileMax / 5) // the bubble's clock: all that can happen has
		h.mu.Lock()
		taken := h.finds
		h.mu.Unlock()
		if taken > windowMax+2 || taken < windowMax {
			t.Errorf("%d messages are in hand, want about %d", taken, windowMax)
		}
		close(h.gate)
		for n := range 4 * windowMax {
			s.wants(fmt.Sprint("c", n), "AA", "")
		}
		<-sent
	})
}

func TestEnhancedModeAndRetry(t *testing.T) {
	h := newHouse()
	s := connect(t, newIntake(t, h))
	quiet := strings.Replace(result("q", "m1"), "|P|2.5.1", "|P|2.5.1|||NE", 1)
	commit := strings.Replace(result("e", "m1"), "|P|2.5.1", "|P|2.5.1|||AL|NE", 1)
	s.send(quiet)
	s.send(commit)
	s.wants("e", "CA", "") // and none to the quiet one
	s.send(string(hl7.MarkRetry([]byte(result("r", "m1")))))
	s.wants("r", "AA", "")
	s.send(string(hl7.MarkRetry([]byte(result("r2", "x")))))
	s.wants("r2", "AA", "unknown-patient")
	if h.resolved != 1 {
		t.Errorf("taken off the list: got %d, want the one that was filed", h.resolved)
	}
	if h.aside[0].Key != hl7.KeyOf([]byte(result("r2", "x"))) {
		t.Error("set aside again it has another name")
	}
}

func TestTooLargeAndGarbage(t *testing.T) {
	h := newHouse()
	s := connect(t, newIntake(t, h))
	go func() {
		s.conn.Write([]byte("noise"))
		hl7.WriteFrame(s.conn, append([]byte(result("big", "m1")+"\rNTE|1||"), bytes.Repeat([]byte("x"), hl7.MessageBytesMax)...))
		hl7.WriteFrame(s.conn, []byte(result("m", "m1")))
	}()
	s.wants("big", "AR", "too-large")
	s.wants("m", "AA", "")
}

// TestServeWaitsAndEnds: nobody is let in before the outbox of the process
// before is durable; at the end what is in hand is answered.
func TestServeWaitsAndEnds(t *testing.T) {
	h := newHouse()
	h.gate = make(chan struct{})
	ready := make(chan struct{})
	in, err := New(Config{Session: h.session, Settled: h.Settled, Systems: map[string]string{"HOSP": "http://mrn.example"}, Ready: func() bool {
		select {
		case <-ready:
			return true
		default:
			return false
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- in.Serve(ctx, ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &sending{t: t, conn: conn, frames: hl7.NewFrames(conn)}
	s.send(result("m", "m1"))
	if filed, _, calls := h.counts(); filed+calls > 0 {
		t.Error("a message was taken before the intake was ready")
	}
	close(ready)
	for {
		if _, _, calls := h.counts(); calls > 0 {
			break
		}
	}
	cancel()
	close(h.gate)
	s.wants("m", "AA", "")
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
