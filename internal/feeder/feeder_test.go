package feeder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abaton-health/abaton/internal/hl7"
)

// listener answers as it is told: by message, in the order of its tries.
type listener struct {
	mu    sync.Mutex
	got   map[string]int
	order []string
	say   func(control string, try int) string // a code; "hang up"; "another" answers another message
}

func listen(t *testing.T, say func(control string, try int) string) (string, *listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{got: make(map[string]int), say: say}
	var gone sync.WaitGroup
	t.Cleanup(func() { ln.Close(); gone.Wait() })
	gone.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			gone.Go(func() { l.serve(conn) })
		}
	})
	return ln.Addr().String(), l
}

func (l *listener) serve(conn net.Conn) {
	defer conn.Close()
	frames := hl7.NewFrames(conn)
	for {
		raw, err := frames.Next()
		if err != nil {
			return
		}
		h := hl7.HeaderOf(raw)
		l.mu.Lock()
		l.got[h.Control]++
		l.order = append(l.order, h.Control)
		code := l.say(h.Control, l.got[h.Control])
		l.mu.Unlock()
		a := hl7.Answer{Code: code}
		switch code {
		case "hang up":
			return
		case "another":
			h.Control, a.Code = "other", "AA"
		case "aside":
			a = hl7.Answer{Code: "AA", Reason: hl7.ReasonPatient}
		}
		if hl7.WriteFrame(conn, hl7.Acknowledge(h, a, time.Now())) != nil {
			return
		}
	}
}

func feed(count int) func(func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for n := range count {
			raw := fmt.Sprintf("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|c%d|P|2.5\rPID|1||p%d", n, n%3)
			if !yield(n, []byte(raw)) {
				return
			}
		}
	}
}

// TestEachIsAnsweredForGood: through AE, broken connections and answers to
// something else, in the order of each patient.
func TestEachIsAnsweredForGood(t *testing.T) {
	const count = 60
	address, l := listen(t, func(control string, try int) string {
		switch {
		case control == "c7" && try <= 2:
			return "AE"
		case control == "c11" && try == 1:
			return "hang up"
		case control == "c20" && try == 1:
			return "another"
		case control == "c30":
			return "aside"
		case control == "c31":
			return "AR"
		}
		return "AA"
	})
	var mu sync.Mutex
	answers := make(map[int]Answer)
	err := Send(t.Context(), Config{Address: address, Connections: 2, Window: 8, Wait: time.Millisecond}, feed(count), func(n int, a Answer) {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := answers[n]; twice {
			t.Errorf("message %d is answered twice", n)
		}
		answers[n] = a
	})
	if err != nil || len(answers) != count {
		t.Fatalf("got %d answers, %v, want %d", len(answers), err, count)
	}
	for n, want := range map[int]string{0: "AA ", 7: "AA ", 30: "AA unknown-patient", 31: "AR "} {
		if got := answers[n].Code + " " + answers[n].Reason; got != want {
			t.Errorf("message %d: got %q, want %q", n, got, want)
		}
	}
	if answers[7].Tries != 3 {
		t.Errorf("tries of the one that was deferred twice: got %d, want 3", answers[7].Tries)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range count {
		if l.got[fmt.Sprint("c", n)] == 0 {
			t.Errorf("message %d never came", n)
		}
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	address, _ := listen(t, func(string, int) string { return "AE" })
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := Send(ctx, Config{Address: address, Wait: time.Millisecond}, func(yield func(int, []byte) bool) {
		feed(1)(func(n int, raw []byte) bool { tries++; return yield(n, raw) })
		cancel()
	}, func(int, Answer) { t.Error("answered") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if tries != 1 {
		t.Errorf("asked for the message %d times", tries)
	}
}

func TestPatientsStayOnOneLine(t *testing.T) {
	one := lineOf([]byte("MSH|^~\\&|A\rPID|1||p1^^^X|x"))
	for name, raw := range map[string]string{"another event": "MSH|^~\\&|B\rEVN|A01\rPID|2||p1^^^X", "other line ends": "MSH|^~\\&|B\nPID|9||p1^^^X|y"} {
		if lineOf([]byte(raw)) != one {
			t.Errorf("%s: got another line", name)
		}
	}
	if lineOf([]byte("PID|1||p2^^^X")) == one {
		t.Error("another patient has the same line, want most to differ")
	}
	_ = lineOf([]byte(strings.Repeat("PID", 3)))
}
