package intake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/abaton-health/abaton/internal/hl7"
)

// Serve lets senders in until ctx ends; then nothing more is read, what is in
// hand is answered, and Serve returns. It closes ln.
func (in *Intake) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	if !in.ready(ctx) {
		return nil
	}
	var open sync.WaitGroup
	slots := make(chan struct{}, connectionsMax)
	err := in.accept(ctx, ln, &open, slots)
	open.Wait()
	in.work.Wait()
	return err
}

// ready waits until what the outbox held at start is durable.
func (in *Intake) ready(ctx context.Context) bool {
	if in.c.Ready == nil {
		return true
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !in.c.Ready() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

func (in *Intake) accept(ctx context.Context, ln net.Listener, open *sync.WaitGroup, slots chan struct{}) error {
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := ln.Accept()
		if err != nil {
			<-slots
			if ctx.Err() != nil {
				return nil
			}
			if temporary, ok := errors.AsType[net.Error](err); ok && temporary.Timeout() {
				continue
			}
			return fmt.Errorf("accept sender: %w", err)
		}
		open.Go(func() {
			defer func() { <-slots }()
			in.converse(ctx, conn)
		})
	}
}

// converse reads one sender's messages and answers them in their order.
func (in *Intake) converse(ctx context.Context, conn net.Conn) {
	in.counters.connections.Inc()
	defer in.counters.connections.Dec()
	defer conn.Close()
	answers := make(chan *job, windowMax)
	var writing sync.WaitGroup
	writing.Go(func() { in.answer(conn, answers) })
	// What is being read ends with ctx; answers are still written.
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	in.read(ctx, conn, answers)
	stop()
	close(answers)
	writing.Wait()
}

// read takes messages in until the sender or ctx ends. Once the window is full
// it does not read on: the sender feels it.
func (in *Intake) read(ctx context.Context, conn net.Conn, answers chan<- *job) {
	frames := hl7.NewFrames(&sender{conn: conn, ctx: ctx})
	counted := int64(0)
	for ctx.Err() == nil {
		raw, err := frames.Next()
		in.counters.garbage.Add(float64(frames.Garbage() - counted))
		counted = frames.Garbage()
		switch {
		case errors.Is(err, hl7.ErrFrameTooLarge):
			j := &job{header: hl7.HeaderOf(raw), done: make(chan struct{})}
			in.counters.answered("refused", hl7.ReasonTooLarge)
			j.answered(hl7.Answer{Code: "AR", Reason: hl7.ReasonTooLarge, Text: textTooLarge})
			answers <- j
			continue
		case err != nil:
			return // the sender's to notice
		}
		size := int64(len(raw))
		if in.bytes.Acquire(ctx, size) != nil {
			return
		}
		j := in.take(ctx, raw)
		in.work.Go(func() {
			<-j.done
			in.bytes.Release(size)
		})
		answers <- j
	}
}

// answer writes the answers in order. When the sender has gone it goes on
// taking them, so that the reader ends.
func (in *Intake) answer(conn net.Conn, answers <-chan *job) {
	broken := false
	for j := range answers {
		<-j.done
		if broken || !j.header.Wanted(j.answer) {
			continue
		}
		conn.SetWriteDeadline(in.c.Now().Add(answerMax))
		if err := hl7.WriteFrame(conn, hl7.Acknowledge(j.header, j.answer, in.c.Now())); err != nil {
			broken = true
			conn.Close() // ends the reader too
		}
	}
}

// sender reads from a connection that may be silent for idleMax.
type sender struct {
	conn net.Conn
	ctx  context.Context
}

func (s *sender) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, s.ctx.Err()
	}
	s.conn.SetReadDeadline(time.Now().Add(idleMax))
	if s.ctx.Err() != nil { // it ended in between: the deadline set for that is gone
		return 0, s.ctx.Err()
	}
	return s.conn.Read(b)
}
