package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// poison remembers the first write that went wrong and makes everything after
// it refuse. It is also Pebble's logger, since that is where Pebble sends
// commit errors.
type poison struct {
	spread chan struct{} // closed by the first error
	logger *slog.Logger

	mu  sync.Mutex
	err error
}

func (p *poison) start(logger *slog.Logger) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p.logger, p.spread = logger, make(chan struct{})
}

// with poisons. Only the first call counts.
func (p *poison) with(what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.err = fmt.Errorf("%w: %s: %w", ErrPoisoned, what, err)
	p.warn("store stopped", "during", what)
	close(p.spread)
}

// warn logs a static text; Pebble's own texts may quote keys.
func (p *poison) warn(text string, attrs ...any) { p.logger.Warn(text, attrs...) }

// refusal is nil as long as nothing went wrong.
func (p *poison) refusal() error {
	select {
	case <-p.spread:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.err
	default:
		return nil
	}
}

var errPanic = errors.New("storage engine panicked")

// guard runs work and takes its panics as poison: Pebble panics when a
// write-ahead log cannot be written or changed.
func (p *poison) guard(what string, work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				cause = errPanic
			}
			p.with(what, cause)
			err = p.refusal()
		}
	}()
	return work()
}

// Infof implements pebble.Logger.
func (p *poison) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (p *poison) Errorf(string, ...any) { p.warn("storage engine reported an error") }

// Fatalf implements pebble.Logger. Pebble expects that the process ends here;
// instead nothing is answered any more, and the keeper ends in its own way.
func (p *poison) Fatalf(format string, args ...any) {
	p.with("storage engine", causeOf(args))
}

func causeOf(args []any) error {
	for _, a := range args {
		if err, ok := a.(error); ok {
			return err
		}
	}
	return errPanic
}
