// Package feeder sends HL7 version 2 messages over MLLP as an interface engine
// does: in order, again and again until each is answered for good.
//
//	err := feeder.Send(ctx, feeder.Config{Address: "127.0.0.1:2575"}, messages, func(n int, a feeder.Answer) { ... })
//
// It is for tests, benchmarks and backfills. It keeps nothing on disk: whoever
// calls it notes what was answered.
package feeder

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton/internal/hl7"
)

// Config says where messages go and how many are under way.
type Config struct {
	Address     string
	TLS         *tls.Config   // nil sends in the clear
	Connections int           // zero is 1; the messages of one patient stay on one
	Window      int           // messages sent before their answers are read; zero is 1
	Wait        time.Duration // before sending again; zero is 200 ms
	AnswerMax   time.Duration // how long an answer may take; zero is a minute
}

// Answer is what became of a message.
type Answer struct {
	Code   string        // AA or AR, in enhanced mode CA or CR
	Reason string        // of one that was set aside or refused; "" for one that was filed
	Tries  int           // how often it was sent
	Took   time.Duration // from the first sending
}

// item is one message under way.
type item struct {
	n     int
	raw   []byte
	tries int
	began time.Time
}

// Send sends the messages and calls answered for each, from several
// goroutines. It returns when all are answered or ctx ends. An answer to
// another message than the one it should be to breaks the connection, and all
// that waits is sent again.
func Send(ctx context.Context, c Config, messages iter.Seq2[int, []byte], answered func(n int, a Answer)) error {
	c = c.filled()
	g, ctx := errgroup.WithContext(ctx)
	lines := make([]chan *item, c.Connections)
	for i := range lines {
		lines[i] = make(chan *item, c.Window)
		g.Go(func() error { return (&line{c: c, items: lines[i], answered: answered}).run(ctx) })
	}
	g.Go(func() error {
		defer func() {
			for _, l := range lines {
				close(l)
			}
		}()
		for n, raw := range messages {
			select {
			case lines[lineOf(raw)%uint32(len(lines))] <- &item{n: n, raw: raw}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

func (c Config) filled() Config {
	c.Connections, c.Window = max(1, c.Connections), max(1, c.Window)
	if c.Wait == 0 {
		c.Wait = 200 * time.Millisecond
	}
	if c.AnswerMax == 0 {
		c.AnswerMax = time.Minute
	}
	return c
}

// lineOf keeps the messages of one patient together: by what PID-3 says.
func lineOf(raw []byte) uint32 {
	h := fnv.New32a()
	for part := range strings.FieldsFuncSeq(string(raw), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.HasPrefix(part, "PID") && len(part) > 4 {
			fields := strings.SplitN(part, part[3:4], 5)
			if len(fields) > 3 {
				h.Write([]byte(fields[3]))
			}
			break
		}
	}
	return h.Sum32()
}

// line is one connection and what is on its way there.
type line struct {
	c        Config
	items    <-chan *item
	answered func(int, Answer)
	conn     net.Conn
	frames   *hl7.Frames
	waiting  []*item
}

func (l *line) run(ctx context.Context) error {
	defer l.hangUp()
	for {
		if !l.gather(ctx) {
			return ctx.Err()
		}
		if err := l.exchange(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			l.hangUp()
		}
		if len(l.waiting) > 0 { // of these some will be sent again
			if err := pause(ctx, l.c.Wait); err != nil {
				return err
			}
		}
	}
}

// gather fills the window; false at the end.
func (l *line) gather(ctx context.Context) bool {
	for len(l.waiting) < l.c.Window {
		if len(l.waiting) > 0 {
			select {
			case it, ok := <-l.items:
				if !ok {
					return true
				}
				l.waiting = append(l.waiting, it)
				continue
			default:
				return true
			}
		}
		select {
		case it, ok := <-l.items:
			if !ok {
				return false
			}
			l.waiting = append(l.waiting, it)
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// exchange sends what waits and reads an answer to each. What is not answered
// for good stays in waiting, in order.
func (l *line) exchange(ctx context.Context) error {
	if err := l.dial(ctx); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := l.conn.SetDeadline(time.Now().Add(l.c.AnswerMax)); err != nil {
		return fmt.Errorf("send messages: %w", err)
	}
	for _, it := range l.waiting {
		if it.tries++; it.began.IsZero() {
			it.began = time.Now()
		}
		if err := hl7.WriteFrame(l.conn, it.raw); err != nil {
			return err
		}
	}
	var again []*item
	for i, it := range l.waiting {
		a, err := l.answer(it)
		if err != nil {
			l.waiting = append(again, l.waiting[i:]...)
			return err
		}
		if a == nil {
			again = append(again, it)
			continue
		}
		l.answered(it.n, *a)
	}
	l.waiting = again
	return nil
}

func (l *line) dial(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", l.c.Address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if l.c.TLS != nil {
		conn = tls.Client(conn, l.c.TLS)
	}
	l.conn, l.frames = conn, hl7.NewFrames(conn)
	return nil
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn, l.frames = nil, nil
	}
}

// answer reads the answer to one message; nil when it is to be sent again.
func (l *line) answer(it *item) (*Answer, error) {
	raw, err := l.frames.Next()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	msa := m.First("MSA")
	if hl7.HeaderOf(it.raw).Control != hl7.Answers(m) {
		return nil, errors.New("read answer: it is to another message")
	}
	switch code := msa.Field(1).Text(); code {
	case "AE", "CE":
		return nil, nil
	case "AA", "AR", "CA", "CR":
		return &Answer{Code: code, Reason: m.First("ERR").Field(5).Text(), Tries: it.tries, Took: time.Since(it.began)}, nil
	}
	return nil, errors.New("read answer: no known code")
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
