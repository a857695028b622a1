package client

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// survey is which lock each keeper has in force of each batch. It keeps no
// notice, only what of one says whether a batch must be locked anew.
type survey struct {
	r     *Reader
	ask   Ask
	class spread.Class

	mu      sync.Mutex
	batches map[abaton.BatchName]*surveyed
}

// surveyed is one batch of a survey.
type surveyed struct {
	name    abaton.BatchName
	line    abaton.Line
	class   spread.Class
	records int
	gone    uint64
	at      map[[32]byte]*lockAt // by hash of the LOCK
}

type lockAt struct {
	number  uint64
	segment abaton.SegmentID
	held    quorum.Keepers
}

// surveyLines asks at least R keepers which locks they have of these lines:
// every acknowledged batch is among them.
func (r *Reader) surveyLines(ctx context.Context, a Ask, log *actor.State) ([]*surveyed, error) {
	var all []*surveyed
	for mode, class := range map[session.Mode]spread.Class{session.List: spread.Ordinary, session.Parts: spread.PartClass} {
		s := &survey{r: r, ask: a, class: class, batches: make(map[abaton.BatchName]*surveyed)}
		step := r.n.atLeastR()
		if err := r.collect(ctx, step, a, mode, s); err != nil {
			return nil, fmt.Errorf("survey locks: %w", err)
		}
		for _, b := range s.batches {
			if b.holders().Len() <= r.n.params.F {
				continue // may be one keeper's invention, and four are needed anyway
			}
			b.gone |= log.Erased(b.name)
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *surveyed) int { return slices.Compare(a.name[:], b.name[:]) })
	return all, nil
}

// unclear: all that answer within a second are wanted, so that a keeper which
// has an old lock is seen.
func (s *survey) unclear() bool { return true }

func (s *survey) take(x abaton.KeeperIndex, a *answered) error {
	if len(a.Notices) > abaton.NoticesMax {
		return errAnswer
	}
	for i := range a.Notices {
		if err := s.notice(x, &a.Notices[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *survey) notice(x abaton.KeeperIndex, n *keeper.Notice) error {
	var head, lock wire.Signed
	if wire.Unmarshal(n.Head, &head) != nil || wire.Unmarshal(n.Lock, &lock) != nil {
		return errAnswer
	}
	known, err := s.r.n.proved.parse(head, lock)
	f := fetching{ask: s.ask}
	if err != nil || known.head.Class != s.class || f.entitled(known.head, known.lock) != nil || known.lock.Batch != spread.NameOf(head.Body) {
		return errAnswer
	}
	if !n.Held {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.batches[known.lock.Batch]
	if b == nil {
		b = &surveyed{name: known.lock.Batch, line: known.head.Line, class: s.class, records: int(known.head.Dims.M), at: make(map[[32]byte]*lockAt)}
		s.batches[b.name] = b
	}
	hash := spread.LockHash(lock.Body)
	at := b.at[hash]
	if at == nil {
		at = &lockAt{number: known.lock.Number, segment: known.lock.Segment}
		b.at[hash] = at
	}
	at.held = at.held.With(x)
	return nil
}

// rows names what of the batch is not erased.
func (b *surveyed) row() Row { return Row{Batch: b.name, Records: allRecords(b.records) &^ b.gone} }

// count is how many of its records a person would count: without the index.
func (b *surveyed) count() int { return (&Batch{Records: b.records, Gone: b.gone}).Rows().Count() }

// holders are the keepers that have it, under any lock.
func (b *surveyed) holders() (k quorum.Keepers) {
	for _, at := range b.at {
		k |= at.held
	}
	return k
}

// needs reports whether the batch is not yet under one lock to the segment at
// every keeper that has it.
func (b *surveyed) needs(segment abaton.SegmentID) bool {
	if b.row().Records == 0 {
		return false
	}
	for _, at := range b.at {
		if at.segment != segment || len(b.at) > 1 {
			return true
		}
	}
	return false
}

// under is how many keepers have the batch under the segment.
func (b *surveyed) under(segment abaton.SegmentID) (k quorum.Keepers) {
	for _, at := range b.at {
		if at.segment == segment {
			k |= at.held
		}
	}
	return k
}
