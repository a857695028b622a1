// Package feed tells every keeper who treats whom, from the appointments,
// visits, referrals and orders that pass through a gateway
// (PROTOCOL.md#relations). It keeps what stands in a sealed file, tells each
// keeper on its own until it answers, and tells everything anew at each start
// and every twelve hours: after a new writer key, and to a keeper that lost its
// disk.
//
//	f, err := feed.Open(feed.Config{...})
//	defer f.Close()
//	f.Note(name, patient, meeting, whom)
//
// Nothing but pseudonyms, kinds and times leaves. It does not protect against
// who holds the gateway's writer key: they tell what they like.
package feed

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

// Teller brings a statement to one keeper and returns its answer to each entry:
// client.Network.
type Teller interface {
	TellRelations(ctx context.Context, x abaton.KeeperIndex, message []byte, entries int) ([]abaton.Reason, error)
}

// Config says whose feed it is. Every field but Log and Now is needed.
type Config struct {
	Organisation abaton.ActorID
	Key          *key.Signing         // with right Write in the organisation's log
	Keepers      []abaton.KeeperIndex // whom to tell
	Network      Teller
	Path         string     // the file; made if it is not there
	Secret       key.Secret // seals it
	Log          *slog.Logger
	Now          func() time.Time
}

// Feed is safe for concurrent use.
type Feed struct {
	c    Config
	book *book // owned by keep; Close after it

	mu      sync.Mutex
	held    map[Name]*state
	dirty   map[Name]time.Time // to be made durable, since when
	tellers []*teller
	write   chan struct{} // something is dirty
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Name names the resource that said something: NameOf.
type Name [32]byte

// NameOf names a resource of a patient, without telling which.
func NameOf(patient abaton.ActorID, kind, id string) Name {
	return wire.Hash(wire.RelationBook, patient[:], []byte(kind), []byte{0}, []byte(id))
}

// shift is by how many seconds what the resource says is moved: up to 18 hours.
func (n Name) shift() int64 { return int64(binary.BigEndian.Uint16(n[:])) }

// state is what stands of one resource.
type state struct {
	meeting Meeting
	patient abaton.ActorID
	whom    []abaton.ActorID
	back    []relation.Entry // told once and taken back; Until is what it was
	shift   int64            // Name.shift
	count   uint64           // changes, so that one told meanwhile is not forgotten
}

// Times of telling.
const (
	// again is how often everything is told anew.
	again = 12 * time.Hour
	// unknownRest is when a patient is told again whom a keeper does not know
	// yet, unknownTries how often.
	unknownRest  = 30 * time.Second
	unknownTries = 10
	// restMost is the longest between two tries at a keeper.
	restMost = time.Minute
	// callMax is how long one message may take.
	callMax = 30 * time.Second
)

// heldMax bounds the resources in memory: relation.StandingMax entries are the
// most that keepers take.
const heldMax = relation.StandingMax

// Open reads the file and begins to tell what is in it.
func Open(c Config) (*Feed, error) {
	if c.Organisation == (abaton.ActorID{}) || c.Key == nil || c.Network == nil || c.Path == "" || c.Secret.IsZero() || len(c.Keepers) == 0 {
		return nil, errors.New("feed: Organisation, Key, Network, Path, Secret or Keepers is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	f := &Feed{c: c, dirty: make(map[Name]time.Time), write: make(chan struct{}, 1)}
	var err error
	if f.book, f.held, err = openBook(c.Path, c.Secret, c.Now().Unix()); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	if f.book.damaged {
		c.Log.Warn("a part of the relations kept was damaged and is lost; what is written from now on is told")
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background())
	for _, x := range c.Keepers {
		t := &teller{f: f, x: x, owed: make(map[Name]debt), wake: make(chan struct{}, 1)}
		f.tellers = append(f.tellers, t)
		f.work.Go(func() { t.run(ctx) })
	}
	f.work.Go(func() { f.keep(ctx) })
	return f, nil
}

// Close stops telling; what is kept is told at the next start.
func (f *Feed) Close() error {
	f.stop()
	f.work.Wait()
	return f.book.close()
}

// Note takes what a resource says now, and who its parties are, in the place of
// what it said before. It returns at once.
func (f *Feed) Note(name Name, patient abaton.ActorID, m Meeting, whom []abaton.ActorID) {
	now := f.c.Now().Unix()
	whom = slices.Clone(whom)
	slices.SortFunc(whom, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	whom = slices.Compact(whom)
	m.With = nil
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.held[name]
	if was == nil && (m.Off || len(whom) == 0 || len(f.held) >= heldMax) {
		return
	}
	next := &state{meeting: m, patient: patient, whom: whom, shift: name.shift()}
	if was != nil {
		next.count = was.count + 1
		next.meeting.settle(&was.meeting, now)
	} else {
		next.meeting.settle(nil, now)
	}
	if was != nil {
		next.back = takenBack(was, next, now)
	} else if next.over(now) {
		return
	}
	f.held[name] = next
	if _, waiting := f.dirty[name]; !waiting {
		f.dirty[name] = f.c.Now()
	}
	wake(f.write)
}

// Expected is to whom a resource gives a reason now, as it was told last.
func (f *Feed) Expected(name Name) []abaton.ActorID {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.held[name]
	if s == nil {
		return nil
	}
	if now := f.c.Now().Unix(); len(s.meeting.entries(s.patient, s.whom, s.shift, now)) > 0 {
		return slices.Clone(s.whom)
	}
	return nil
}

// Concerns reports whether what a resource says matters now: it gives a reason,
// or gave one before. The visits of years ago do not.
func (f *Feed) Concerns(name Name, m Meeting) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.c.Now().Unix()
	if f.held[name] != nil {
		return true
	}
	m.settle(nil, now)
	return len(m.entries(abaton.ActorID{}, make([]abaton.ActorID, 1), name.shift(), now)) > 0
}

// takenBack is what was told and stands no more.
func takenBack(was, next *state, now int64) (back []relation.Entry) {
	stands := next.meeting.entries(next.patient, next.whom, next.shift, now)
	for _, e := range append(was.meeting.entries(was.patient, was.whom, was.shift, now), was.back...) {
		same := func(o relation.Entry) bool { return relation.Compare(e, o) == 0 }
		if e.Until > now && !slices.ContainsFunc(stands, same) && !slices.ContainsFunc(back, same) {
			back = append(back, e)
		}
	}
	return back
}

// entries are what keepers are told of a resource now.
func (s *state) entries(now int64) (all []relation.Entry) {
	all = s.meeting.entries(s.patient, s.whom, s.shift, now)
	for _, e := range s.back {
		if e.Until > now {
			e.Until = e.From
			all = append(all, e)
		}
	}
	return all
}

// over reports whether nothing of it need be told any more.
func (s *state) over(now int64) bool { return len(s.entries(now)) == 0 }

// keep makes what changed durable, then has it told.
func (f *Feed) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			f.settle()
			return
		case <-f.write:
		}
		changed := f.settle()
		f.mu.Lock()
		f.tidy()
		for name, since := range changed {
			for _, t := range f.tellers {
				t.owe(name, since)
			}
		}
		f.mu.Unlock()
		for _, t := range f.tellers {
			wake(t.wake)
		}
	}
}

// settle writes what changed. What cannot be written is told all the same.
func (f *Feed) settle() map[Name]time.Time {
	f.mu.Lock()
	changed := f.dirty
	f.dirty = make(map[Name]time.Time)
	states := make(map[Name]state, len(changed))
	for name := range changed {
		states[name] = *f.held[name]
	}
	f.mu.Unlock()
	if err := f.book.write(states); err != nil {
		f.c.Log.Error("relations are told but not kept", "error", err.Error())
	}
	return changed
}

// tidy writes the file anew without what is over, once most of it is. The caller
// holds mu.
func (f *Feed) tidy() {
	if !f.book.full() {
		return
	}
	now := f.c.Now().Unix()
	for name, s := range f.held {
		if _, waits := f.dirty[name]; !waits && s.over(now) {
			delete(f.held, name)
		}
	}
	if err := f.book.anew(f.held); err != nil {
		f.c.Log.Error("relations are not kept", "error", err.Error())
	}
}

// Standing is how many resources stand.
func (f *Feed) Standing() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

// Lag is how long the oldest change has waited for a keeper; zero when it knows
// all.
func (f *Feed) Lag(x abaton.KeeperIndex) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.c.Now()
	oldest := now
	for _, since := range f.dirty {
		oldest = earlier(oldest, since)
	}
	for _, t := range f.tellers {
		if t.x != x {
			continue
		}
		for _, d := range t.owed {
			oldest = earlier(oldest, d.since)
		}
	}
	return now.Sub(oldest)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
